"""Where sound begins, ends or is cut: short fades, so that none of it clicks. Pieces are (n, channels) int16."""

import numpy as np
from numpy.typing import NDArray


def ramp(count: int) -> NDArray[np.float64]:
    """Rises from 0 to 1; with its mirror image it sums to 1."""
    return ((np.arange(count) + 0.5) / max(count, 1))[:, None]


def shortened(piece: NDArray[np.int16], by: int, fade: int) -> NDArray[np.int16]:
    """The piece `by` samples shorter (longer, if below 0), or by as many as a cross-fade leaves room for.

    Both of its ends stay as they were: a part shortly before the end is left out, or comes twice.
    """
    room = max(len(piece) - fade, 0)
    by = min(max(by, -room), room)
    if not by:
        return piece
    leave, enter = len(piece) - max(by, 0), len(piece) - max(-by, 0)
    rising = ramp(fade)
    seam = piece[leave - fade : leave] * rising[::-1] + piece[enter - fade : enter] * rising
    return np.concatenate((piece[: leave - fade], np.rint(seam).astype(np.int16), piece[enter:]))


class Edges:
    """Remembers the last of what was given, to fade it out wherever it breaks off.

    What comes next may not be there when sound breaks off, so its mirror image takes its place.
    """

    def __init__(self, fade: int, channels: int) -> None:
        self._rising = ramp(fade)
        self._tail = np.zeros((0, channels), dtype=np.int16)
        self.recent = np.zeros((fade, channels), dtype=np.int16)
        "The last that was given."

    def remember(self, given: NDArray[np.int16]) -> None:
        """So much was given now."""
        fade = len(self.recent)
        self.recent = given[-fade:].copy() if len(given) >= fade else np.concatenate((self.recent, given))[-fade:]

    def begin(self, piece: NDArray[np.int16]) -> None:
        """Fade the start of a piece in, in place."""
        start = piece[: len(self._rising)]
        start[:] = start * self._rising[: len(start)]

    def end(self, upcoming: NDArray[np.int16]) -> None:
        """What was given breaks off; `upcoming` is what would have come, if anything."""
        fade = len(self._rising)
        until = np.concatenate((self.recent, upcoming[:fade]))
        longer = np.concatenate((upcoming[:fade], until[::-1]))[:fade]
        self._tail = (longer * self._rising[::-1]).astype(np.int16)

    def mix_tail(self, out: NDArray[np.int16]) -> None:
        """Add what is left of an end to what is given now; `begin` leaves room for it."""
        count = min(len(self._tail), len(out))
        out[:count] += self._tail[:count]
        self._tail = self._tail[count:]
