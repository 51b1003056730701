"""PortAudio through sounddevice, the one door to it: lists devices, opens and closes streams, in words of ours.

Every call here may block for ever, as long as a sound server does not answer. So each is made on a daemon thread
(`in_thread`), which no exit waits for, and whoever waits does so with a bound. PortAudio is not thread-safe: a lock is
held while it lists or opens; not while it closes, or one stream that is stuck would hold up all the others.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from smallrtc_cli.audio.hush import Hush
from smallrtc_cli.errors import AudioUnavailable

_log = logging.getLogger(__name__)

_HUSH = Hush()
LOCK = threading.RLock()
"Held while devices are listed or opened, by whoever needs both to fit together, too."

_WITHOUT = AudioUnavailable.hint

_NO_DEVICE = {
    -9996: "it is not there",  # paInvalidDevice
    -9993: "its sound server cannot be reached",  # paBadIODeviceCombination; what ALSA's PulseAudio plugin comes to
    -9985: "it is in use, or gone",  # paDeviceUnavailable
}
"Errors that no other format would cure."

T = TypeVar("T")

Heard = Callable[[bytes, "Format", bool], None]
"Takes interleaved s16 samples, their format, and whether the device has dropped some before them."

Wanted = Callable[[int, "Format", bool], bytes]
"Gives so many samples in that format; told whether the device has run dry."


@dataclass(frozen=True, slots=True)
class Format:
    """Of a stream of s16 samples."""

    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone, a speaker, or both. A sound server tells channels and rate that it takes, not those it has."""

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    default_rate: int
    is_default_input: bool
    is_default_output: bool


class Stream:
    """A stream that was opened and not started; `close` blocks until PortAudio has let it go."""

    def __init__(self, raw: Any, shape: Format) -> None:
        self._raw = raw
        self.format = shape
        self.latency = float(raw.latency)
        "Seconds, as PortAudio tells it."
        _HUSH.__enter__()  # its thread writes to C's stderr when the device dies
        _OPEN.add(self)

    def start(self) -> None:
        """Have the callbacks called. Raises `AudioUnavailable`."""
        try:
            self._raw.start()
        except load().PortAudioError as error:
            raise AudioUnavailable(_reason(error)) from error

    def close(self) -> None:
        self._raw.abort()  # without it some versions of PortAudio hang in the next line
        self._raw.close()
        _OPEN.discard(self)
        _HUSH.__exit__(None, None, None)


_OPEN: set[Stream] = set()
_CALLS: set[Future[Any]] = set()
"Those on threads that have not come back."


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Make a call that may never return, on a thread of its own that nothing has to wait for."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    _CALLS.add(future)
    future.add_done_callback(_CALLS.discard)

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 -- it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="portaudio", daemon=True).start()
    return future


def is_busy() -> bool:
    """Whether a call has not come back.

    The process has to end at once then: PortAudio's clean-up would not come back either, and Python's end would unload
    the library below that call, which is a crash.
    """
    return bool(_CALLS)


@contextlib.contextmanager
def stderr_kept() -> Iterator[None]:
    """At the end file descriptor 2 is what it was, even if PortAudio is still starting.

    The import of sounddevice points it at nothing until PortAudio has started, which may be never.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        kept = os.open(os.devnull, os.O_WRONLY)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def load() -> Any:
    """The module `sounddevice`. Raises `AudioUnavailable` where there is no PortAudio, or where it does not start."""
    try:
        import sounddevice
    except OSError as error:
        hint = f"`apt install libportaudio2` installs it on Debian and Ubuntu; {_WITHOUT}"
        raise AudioUnavailable("the library PortAudio is not installed", hint=hint) from error
    except Exception as error:  # its PortAudioError has no name before the import has come to its end
        raise AudioUnavailable(f"PortAudio does not start: {_reason(error)}") from error
    return sounddevice


def listed() -> list[Device]:
    """The devices: of now, or, while a stream is open, of before it was. Raises `AudioUnavailable`."""
    with _HUSH, LOCK:
        fresh = "sounddevice" not in sys.modules
        sounddevice = load()
        try:
            if not fresh and not _OPEN:
                _read_list_anew(sounddevice)
            apis = sounddevice.query_hostapis()
            defaults = tuple(_default(sounddevice, kind) for kind in ("input", "output"))
            return [_entry(device, apis, defaults) for device in sounddevice.query_devices()]
        except sounddevice.PortAudioError as error:
            raise AudioUnavailable(f"the sound devices cannot be listed: {_reason(error)}") from error


def _read_list_anew(sounddevice: Any) -> None:
    """PortAudio reads it when it starts and at no other time; open streams would be gone.

    Private names, for want of public ones; without `_initialize`, which points file descriptor 2 at nothing.
    """
    if sounddevice._initialized:  # noqa: SLF001 -- or it has not started again the last time
        sounddevice._terminate()  # noqa: SLF001
    sounddevice._check(sounddevice._lib.Pa_Initialize(), "Error initializing PortAudio")  # noqa: SLF001
    sounddevice._initialized += 1  # noqa: SLF001


def _default(sounddevice: Any, kind: str) -> int | None:
    with contextlib.suppress(sounddevice.PortAudioError, ValueError):  # there is none
        return int(sounddevice.query_devices(kind=kind)["index"])
    return None


def _entry(device: Any, apis: Any, defaults: tuple[int | None, ...]) -> Device:
    return Device(
        index=device["index"],
        name=device["name"],
        host_api=apis[device["hostapi"]]["name"],
        input_channels=device["max_input_channels"],
        output_channels=device["max_output_channels"],
        default_rate=round(device["default_samplerate"]),
        is_default_input=device["index"] == defaults[0],
        is_default_output=device["index"] == defaults[1],
    )


def open_input(index: int, formats: Iterable[Format], piece: float, heard: Heard, ended: Callable[[], None]) -> Stream:
    """A stream from a device in the first format that it takes. Raises `AudioUnavailable` with PortAudio's reason."""

    def callback(shape: Format) -> Callable[..., None]:
        return lambda data, _frames, _time, status: heard(bytes(data), shape, bool(status.input_overflow))

    return _opened("RawInputStream", index, formats, piece, callback, ended)


def open_output(
    index: int, formats: Iterable[Format], piece: float, wanted: Wanted, ended: Callable[[], None]
) -> Stream:
    """A stream to a device; as `open_input`."""

    def callback(shape: Format) -> Callable[..., None]:
        def called(data: Any, frames: int, _time: Any, status: Any) -> None:
            data[:] = wanted(frames, shape, bool(status.output_underflow))

        return called

    return _opened("RawOutputStream", index, formats, piece, callback, ended)


def _opened(
    kind: str,
    index: int,
    formats: Iterable[Format],
    piece: float,
    callback: Callable[[Format], Callable[..., None]],
    ended: Callable[[], None],
) -> Stream:
    refused = "it has no channels"
    with _HUSH, LOCK:
        sounddevice = load()
        for shape in formats:
            try:
                raw = getattr(sounddevice, kind)(
                    samplerate=shape.rate,
                    blocksize=round(shape.rate * piece),
                    device=index,
                    channels=shape.channels,
                    dtype="int16",
                    latency="low",
                    callback=callback(shape),
                    finished_callback=ended,
                )
            except (sounddevice.PortAudioError, ValueError) as error:
                _log.debug("device %d at %d Hz with %d channels: %s", index, shape.rate, shape.channels, error)
                if (code := error.args[1] if len(error.args) > 1 else 0) in _NO_DEVICE:
                    raise AudioUnavailable(_NO_DEVICE[code]) from error
                refused = _reason(error)
            else:
                return Stream(raw, shape)
    raise AudioUnavailable(refused)


def _reason(error: Exception) -> str:
    """PortAudio's own words: what comes behind sounddevice's `Error opening RawInputStream: `."""
    text = str(error.args[0] if error.args else error)
    return text.rpartition(": ")[2].rstrip(".").lower()
