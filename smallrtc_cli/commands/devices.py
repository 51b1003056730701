"""`smallrtc devices`: which sound devices there are, and whether a microphone and a speaker work."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from smallrtc_cli import console
from smallrtc_cli.audio import signals
from smallrtc_cli.audio.capture import QUIET, Capture, measured
from smallrtc_cli.audio.device_watch import DeviceState
from smallrtc_cli.audio.devices import Device, Direction, choose, devices
from smallrtc_cli.audio.line import RATE
from smallrtc_cli.audio.microphone import Microphone
from smallrtc_cli.audio.speaker import Speaker
from smallrtc_cli.commands.garbage import spare_imports
from smallrtc_cli.errors import AudioUnavailable, ExitCode, UsageError
from smallrtc_cli.report.checks import Verdict, exit_code
from smallrtc_cli.report.device_table import device_table
from smallrtc_cli.report.document import VERSION, Report, encode
from smallrtc_cli.report.table import Row, table

COMMAND = "devices"

_PITCH = 440.0
_PIECE = 0.02
_SETTLING = 0.2
"Seconds of a microphone that are not judged: many begin with a click, or with silence."

_PATIENCE = 5.0
"Seconds that a microphone may take on top of what it is asked for."


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesOptions:
    """The command line."""

    json: bool = False
    test: bool = False
    input_device: str | None = None
    output_device: str | None = None
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the tone: how much of it the device took, silence included, and how often it ran dry."""

    seconds: float
    underruns: int

    def sentence(self, name: str) -> str | None:
        """The fault for people; whether it was heard only they know."""
        return None if self.seconds else f"the speaker `{name}` takes no sound: its sound server or driver does not run"


def run(options: DevicesOptions) -> ExitCode:
    """List the devices, or test two of them, and say what came of it."""
    named = options.input_device is not None or options.output_device is not None
    if named and not options.test:
        raise UsageError("a device is named, and nothing to do with it", hint="add `--test` to try it")
    spare_imports()
    found = devices()
    if not found:
        raise AudioUnavailable("there is no sound device")
    if options.test:
        return _tell(_tested(found, options), as_json=options.json)
    document = {"version": VERSION, "command": COMMAND, "devices": [asdict(device) for device in found]}
    console.show(json.dumps(document, indent=2) if options.json else device_table(found))
    return ExitCode.OK


def _tested(found: list[Device], options: DevicesOptions) -> Report:
    source = choose(found, options.input_device, Direction.INPUT)
    sink = choose(found, options.output_device, Direction.OUTPUT)
    console.say(f"playing a tone on {sink.name}, left, then right; speak into {source.name} now")
    started = time.monotonic()
    played, heard, gone = asyncio.run(_test(source, sink, options.seconds))
    return judged(source.name, sink.name, played, heard, time.monotonic() - started, gone)


async def _test(source: Device, sink: Device, seconds: float) -> tuple[Played, Capture, list[str]]:
    """Both at a time: where the microphone hears the speaker, nobody has to speak. Also, which of them went away."""
    async with Speaker(sink) as speaker, Microphone(source, channels=2) as microphone:
        async with asyncio.TaskGroup() as both:
            playing = both.create_task(_play(speaker, seconds))
            listening = both.create_task(_listen(microphone, seconds))
        lost = [line for line in (microphone, speaker) if line.state is DeviceState.LOST]
        gone = [f"the {line.role} `{line.name}` went away during the test" for line in lost]
        return playing.result(), measured(listening.result(), RATE), gone


async def _play(speaker: Speaker, seconds: float) -> Played:
    sound, piece = _left_then_right(seconds).tobytes(), round(_PIECE * RATE) * 4
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number, start in enumerate(range(0, len(sound), piece), 1):
        await speaker.write(sound[start : start + piece])
        await asyncio.sleep(started + number * _PIECE - loop.time())
    return Played(speaker.played, speaker.underruns)


def _left_then_right(seconds: float) -> NDArray[np.int16]:
    side = signals.tone(_PITCH, seconds / 2, rate=RATE)
    stereo = np.zeros((2 * len(side), 2), np.int16)
    stereo[: len(side), 0] = stereo[len(side) :, 1] = side[:, 0]
    return stereo


async def _listen(microphone: Microphone, seconds: float) -> NDArray[np.int16]:
    """What it hears, shape (n, 2); less than was asked for, or nothing, where it gives no more."""
    wanted, pieces = round((_SETTLING + seconds) * RATE) * 4, bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLING + seconds + _PATIENCE), contextlib.aclosing(aiter(microphone)) as heard:
            async for piece in heard:
                pieces += piece
                if len(pieces) >= wanted:
                    break
    return np.frombuffer(bytes(pieces), "<i2").reshape(-1, 2)[round(_SETTLING * RATE) :]


def judged(source: str, sink: str, played: Played, heard: Capture, seconds: float, gone: Sequence[str] = ()) -> Report:
    """What was measured at a microphone and a speaker of these names, as a report. Pure."""
    found = (*gone, played.sentence(sink), heard.sentence(source))
    faults = tuple(fault for fault in found if fault)
    return Report(
        command=COMMAND,
        verdict=Verdict.FAILED if faults else Verdict.PASSED,
        headline=faults[0] if faults else "the microphone hears sound, and the speaker took the tone",
        seconds=seconds,
        measurements={
            "input": {"name": source, "fault": heard.fault} | asdict(heard),
            "output": {"name": sink, "fault": None if played.seconds else "nothing"} | asdict(played),
        },
        faults=faults,
    )


def _tell(report: Report, *, as_json: bool) -> ExitCode:
    if as_json:
        console.show(encode(report))
    else:
        others = [fault for fault in report.faults if fault != report.headline]
        rows = _rows(report)
        console.show(table(report.verdict, report.headline, report.seconds, rows, width=console.width(), faults=others))
    return exit_code(report.verdict)


def _rows(report: Report) -> list[Row]:
    source, sink = report.measurements["input"], report.measurements["output"]
    level = f"{source['name']}: level {_dbfs(source['level'])}, peak {_dbfs(source['peak'])}"
    took = f"{sink['name']}: took {sink['seconds']:.1f} s, {sink['underruns']} underruns"
    return [
        Row("input", level, f"≥ {QUIET:g} dBFS", Verdict.FAILED if source["fault"] else Verdict.PASSED),
        Row("output", took, "", Verdict.FAILED if sink["fault"] else Verdict.PASSED),
    ]


def _dbfs(level: float) -> str:
    return "–" if level == float("-inf") else f"{round(level)} dBFS"
