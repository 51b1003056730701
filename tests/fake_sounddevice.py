"""A stand-in for the module `sounddevice`: devices as a test wants them, callbacks when the test makes them."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PortAudioError(Exception):
    def __str__(self) -> str:
        return str(self.args[0])


class FakeStream:
    """What a test does to it is what a sound card does."""

    def __init__(self, module: "FakeSoundDevice", kind: str, **options: Any) -> None:
        module.attempts.append((options["device"], options["samplerate"], options["channels"]))
        refused = module.refuse(kind, options["device"], options["samplerate"], options["channels"])
        if refused is not None:
            raise refused
        self.kind, self.options = kind, options
        self.device, self.rate, self.channels = options["device"], options["samplerate"], options["channels"]
        self.latency = 0.02
        self.started = self.closed = False
        self._module = module
        module.streams.append(self)

    def start(self) -> None:
        if self._module.start_error is not None:
            raise self._module.start_error
        self.started = True

    def abort(self) -> None:
        self._module.may_close.wait(20)

    def close(self) -> None:
        self.closed = True

    def hear(self, samples: NDArray[np.int16], *, overflow: bool = False) -> None:
        """A microphone has these samples of shape (n, channels)."""
        assert samples.shape[1] == self.channels
        self._callback(samples.astype("<i2").tobytes(), len(samples), input_overflow=overflow)

    def ask(self, count: int, *, underflow: bool = False) -> NDArray[np.int16]:
        """A speaker wants so many samples."""
        data = bytearray(count * self.channels * 2)
        self._callback(memoryview(data), count, output_underflow=underflow)
        return np.frombuffer(bytes(data), "<i2").reshape(-1, self.channels)

    def _callback(self, data: Any, count: int, **flags: bool) -> None:
        status = {"input_overflow": False, "output_underflow": False} | flags
        self.options["callback"](data, count, None, SimpleNamespace(**status))

    def end(self) -> None:
        """PortAudio gives the stream up, as when a device is unplugged."""
        self.options["finished_callback"]()


def device(name: str, inputs: int = 0, outputs: int = 0, rate: float = 48_000.0, api: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "hostapi": api,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate,
    }


class FakeSoundDevice(ModuleType):
    """Put it into `sys.modules`."""

    PortAudioError = PortAudioError

    def __init__(self, *devices: dict[str, Any], apis: tuple[str, ...] = ("ALSA",)) -> None:
        super().__init__("sounddevice")
        self.devices = list(devices)
        self.apis = apis
        self.streams: list[FakeStream] = []
        self.attempts: list[tuple[int, int, int]] = []
        self.lists_read = 0
        self._initialized = 1
        self._lib = SimpleNamespace(Pa_Initialize=self._read_list)
        self.refuse: Callable[[str, int, int, int], Exception | None] = lambda *_: None
        self.start_error: Exception | None = None
        self.start_code = 0
        self.may_close = threading.Event()
        self.may_close.set()
        self._listed = list(self.devices)
        self.RawInputStream = partial(FakeStream, self, "input")
        self.RawOutputStream = partial(FakeStream, self, "output")

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.apis]

    def query_devices(self, kind: str | None = None) -> Any:
        listed = [each | {"index": index} for index, each in enumerate(self._listed)]
        if kind is None:
            return listed
        able = [each for each in listed if each[f"max_{kind}_channels"]]
        if not able:
            raise PortAudioError("Error querying device -1")
        return able[0]

    def _terminate(self) -> None:
        assert not list(self.open_streams()), "its streams would be gone"
        self._initialized -= 1

    def _read_list(self) -> int:
        assert not self._initialized
        self.lists_read += 1
        self._listed = list(self.devices)
        return self.start_code

    def _check(self, code: int, words: str) -> None:
        if code < 0:
            raise PortAudioError(f"{words}: Unanticipated host error", code)

    def _exit_handler(self) -> None: ...

    def open_streams(self) -> Iterator[FakeStream]:
        return (stream for stream in self.streams if not stream.closed)
