"""How loud a track is just now: nothing is computed until somebody asks."""

from collections import deque

import av
import numpy as np

from smallrtc_cli.audio.pcm import level_dbfs, to_bytes

_FRAMES = 5
"Frames of 20 ms: the interval over which W3C's `audioLevel` is averaged is ours to choose."

_STALE = 0.5
"Seconds without a frame after which a track counts as silent."


class RecentSound:
    """Keeps the last 100 ms of what passes, as packed s16 frames."""

    def __init__(self) -> None:
        self._frames: deque[av.AudioFrame] = deque(maxlen=_FRAMES)
        self._noted = 0.0

    def note(self, frame: av.AudioFrame, now: float) -> None:
        """A frame passes at `now`."""
        self._frames.append(frame)
        self._noted = now

    def level(self, now: float) -> float | None:
        """Root mean square, 0 to 1 (a full-scale square wave); None before there was any sound."""
        if not self._frames:
            return None
        if now - self._noted > _STALE:
            return 0.0
        samples = np.frombuffer(b"".join(map(to_bytes, self._frames)), dtype="<i2")
        return float(10 ** (level_dbfs(samples) / 20))
