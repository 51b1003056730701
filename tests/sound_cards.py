"""Virtual sound cards, for tests: a PulseAudio server of our own whose sinks have a clock and no hardware.

    vspk       a speaker, the default one; what it plays is heard at `vspkmon`, and by `recording("spk.monitor")`
    vmic       a microphone, the default one; it hears what is played to `vmicbus`, and by `playing(..., "micbus")`

PulseAudio knows them by the names without `v`; with it they are devices of PortAudio, through ALSA's plugin.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 48_000

_NEEDED = ("pulseaudio", "paplay", "parec", "pactl")
_PLUGIN = "*/alsa-lib/libasound_module_pcm_pulse.so"

_ALSA = """</usr/share/alsa/alsa.conf>
pcm.vspk { type pulse device "spk" hint { show on description "virtual speaker" } }
pcm.vspkmon { type pulse device "spk.monitor" hint { show on description "what the virtual speaker plays" } }
pcm.vmic { type pulse device "vmic" hint { show on description "virtual microphone" } }
pcm.vmicbus { type pulse device "micbus" hint { show on description "what the virtual microphone hears" } }
"""

_SINKS = {
    "spk": "sink_name=spk rate=48000 channels=2 norewinds=1",
    "micbus": "sink_name=micbus rate=48000 channels=1 channel_map=mono norewinds=1",
}
"Without norewinds an idle sink is rendered 2 s ahead, and each new stream waits for that long."

_VMIC = "source_name=vmic master=micbus.monitor"


def needs_sound_cards() -> None:
    """Skip the test where there is no PulseAudio to make them with."""
    missing = [command for command in _NEEDED if shutil.which(command) is None]
    if missing or find_library("portaudio") is None or not any(Path("/usr/lib").glob(_PLUGIN)):
        pytest.skip("needs Debian's `pulseaudio`, `pulseaudio-utils`, `libportaudio2` and `libasound2-plugins`")


class SoundCards:
    """The server's process; ended by its pid. Everything of it is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "native"
        (folder / "run").mkdir(mode=0o700)
        (folder / "home").mkdir()
        (folder / "asound.conf").write_text(_ALSA)
        (folder / "default.pa").write_text("\n".join(self._modules()))
        self._process: subprocess.Popen[bytes] | None = None

    def _modules(self) -> Iterator[str]:
        yield ".fail"
        yield f"load-module module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        for arguments in _SINKS.values():
            yield f"load-module module-null-sink {arguments}"
        yield f"load-module module-remap-source {_VMIC}"
        yield "set-default-sink spk"
        yield "set-default-source vmic"
        yield ""

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find them, and nothing else."""
        return {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "ALSA_CONFIG_PATH": str(self._folder / "asound.conf"),
        }

    def start(self) -> None:
        command = ["pulseaudio", "-n", "-F", str(self._folder / "default.pa"), "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", "--disable-shm=yes", "--realtime=no", "--high-priority=no"]
        own = {"HOME": str(self._folder / "home"), "PULSE_RUNTIME_PATH": str(self._folder / "run")}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--log-target=stderr"],
                env=os.environ | own | {"DBUS_SESSION_BUS_ADDRESS": "disabled:"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while self._pactl("info").returncode:
            log = (self._folder / "log").read_text(errors="replace")
            assert self._process is not None
            assert self._process.poll() is None, f"pulseaudio ended: {log}"
            assert time.monotonic() < deadline, f"pulseaudio does not answer: {log}"
            time.sleep(0.05)

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.environment
        return subprocess.run(
            ["pactl", *arguments], env=environment, capture_output=True, text=True, timeout=20, check=False
        )

    def kill(self) -> None:
        """As if it had crashed: all devices are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
        self._socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        """It neither answers nor ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def remove(self, sink: str) -> None:
        """Unplug `spk`, or `micbus` and with it `vmic`; whatever used it is moved to the other one if that is there."""
        for line in self._pactl("list", "short", "modules").stdout.splitlines():
            number, _, arguments = line.partition("\t")
            if f"sink_name={sink} " in arguments:
                assert self._pactl("unload-module", number).returncode == 0

    def add(self, sink: str) -> None:
        """Plug it in again."""
        modules = [("module-null-sink", _SINKS[sink]), *([("module-remap-source", _VMIC)] if sink == "micbus" else [])]
        for name, arguments in modules:
            assert self._pactl("load-module", name, *arguments.split()).returncode == 0

    @contextlib.contextmanager
    def playing(self, samples: NDArray[np.int16], sink: str = "micbus") -> Iterator[None]:
        """Play samples of shape (n, channels), 48 kHz, from now on to the end of the block."""
        sound = self._folder / "playing.raw"
        sound.write_bytes(samples.astype("<i2").tobytes())
        command = ["paplay", "--raw", "--format=s16le", f"--rate={RATE}", f"--channels={samples.shape[1]}"]
        player = subprocess.Popen(
            [*command, "--latency-msec=50", f"--device={sink}", str(sound)], env=os.environ | self.environment
        )
        try:
            yield
        finally:
            player.kill()
            player.wait(10)

    @contextlib.contextmanager
    def recording(self, source: str = "spk.monitor", channels: int = 2) -> Iterator[Path]:
        """A file that grows by what is heard: s16le, 48 kHz."""
        heard = self._folder / f"{source}.raw"
        command = ["parec", "--raw", "--format=s16le", f"--rate={RATE}", f"--channels={channels}"]
        with heard.open("wb") as file:
            recorder = subprocess.Popen(
                [*command, "--latency-msec=50", f"--device={source}"], env=os.environ | self.environment, stdout=file
            )
        try:
            yield heard
        finally:
            recorder.kill()
            recorder.wait(10)


@contextlib.contextmanager
def sound_cards(folder: Path) -> Iterator[SoundCards]:
    """Running until the end of the block; skips the test where there is no PulseAudio."""
    needs_sound_cards()
    cards = SoundCards(folder)
    try:
        cards.start()
        yield cards
    finally:
        cards.kill()


def pitch(samples: NDArray[np.int16]) -> float:
    """The loudest frequency of a mono sound, in Hz, to 0.1 %."""
    window = samples * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(window, 2 ** int(np.ceil(np.log2(len(window) * 4)))))
    return float(np.argmax(spectrum)) * RATE / (2 * (len(spectrum) - 1))
