"""The speaker's sound out of the microphone's, so that the bot does not hear itself: WebRTC's own audio processing.

It comes with the optional package `livekit` (the extra `aec`), which nothing else here touches. The canceller finds
the delay from the speaker to the microphone in the sound itself, up to half a second, and follows it when it changes,
as a speaker's buffer does: after a step of 40 ms the echo is gone again within a second. What `set_delay` says is
where it begins to look.
"""

from smallrtc_cli.audio.ends import RATE, STEREO_SAMPLE
from smallrtc_cli.audio.pcm import BYTES_PER_SAMPLE

_SAMPLES = RATE // 100
"WebRTC works in frames of exactly 10 ms."

_LONGEST_DELAY = 500
"Milliseconds; WebRTC takes no more for plausible."


class EchoCanceller:
    """Echo cancellation, noise suppression and a high-pass filter; 48 kHz, pieces of any length.

    About 0.1 ms of work for 10 ms of sound both ways. Only where it is `available`.
    """

    def __init__(self) -> None:
        from livekit import rtc

        self._frame: type[rtc.AudioFrame] = rtc.AudioFrame
        self._processing = rtc.AudioProcessingModule(
            echo_cancellation=True, noise_suppression=True, high_pass_filter=True
        )
        self._played, self._recorded = bytearray(), bytearray()

    @staticmethod
    def available() -> bool:
        """Whether `livekit` is installed, with a library for this machine."""
        try:
            from livekit import rtc  # noqa: F401
        except (ImportError, OSError):
            return False
        return True

    def heard(self, stereo: bytes) -> None:
        """What goes to the speaker now, s16le; before the `clean` of what the microphone hears of it."""
        self._played += stereo
        while frame := _cut(self._played, _SAMPLES * STEREO_SAMPLE):
            self._processing.process_reverse_stream(self._frame(frame, RATE, 2, _SAMPLES))

    def clean(self, mono: bytes) -> bytes:
        """What the microphone hears, without the speaker; what is less than 10 ms waits for its rest."""
        self._recorded += mono
        cleaned = bytearray()
        while frame := _cut(self._recorded, _SAMPLES * BYTES_PER_SAMPLE):
            self._processing.process_stream(self._frame(frame, RATE, 1, _SAMPLES))
            cleaned += frame
        return bytes(cleaned)

    def set_delay(self, milliseconds: float) -> None:
        """From `heard` over the speaker's buffer, the air and the microphone's to `clean`, as far as it is known."""
        self._processing.set_stream_delay_ms(round(min(max(milliseconds, 0), _LONGEST_DELAY)))


def _cut(sound: bytearray, size: int) -> bytearray:
    """The first `size` bytes, taken out; none where there are fewer."""
    if len(sound) < size:
        return bytearray()
    frame = sound[:size]
    del sound[:size]
    return frame
