"""Where a caller's sound comes from and where the bot's goes: devices, files, pipes, or nothing."""

import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from smallrtc_cli.audio.devices import Direction, choose, devices
from smallrtc_cli.audio.echo import EchoCanceller
from smallrtc_cli.audio.ends import Sink, Source
from smallrtc_cli.audio.file_source import FileSource
from smallrtc_cli.audio.microphone import Microphone
from smallrtc_cli.audio.pipe_source import PipeSource
from smallrtc_cli.audio.speaker import Speaker
from smallrtc_cli.commands.connect.options import PIPE, ConnectOptions
from smallrtc_cli.errors import AudioUnavailable

Tell = Callable[[str], None]
D = TypeVar("D", Microphone, Speaker)


@dataclass(slots=True)
class Ends:
    """Both ends of a person's call, open."""

    source: Source | None = None
    sink: Sink | None = None
    canceller: EchoCanceller | None = None
    devices: list[Microphone | Speaker] = field(default_factory=list)

    @property
    def source_name(self) -> str:
        return self.source.name if self.source is not None else "nothing"

    @property
    def sink_name(self) -> str:
        return self.sink.name if self.sink is not None else "nowhere"

    def counters(self) -> Mapping[str, int]:
        """What the devices lost, by its name."""
        names = ("underruns", "overruns")
        return {name: sum(getattr(device, name, 0) for device in self.devices) for name in names}

    def rows(self) -> list[tuple[str, str]]:
        """For the statistics."""
        lost = ", ".join(f"{count} {name}" for name, count in self.counters().items())
        return [("devices", lost)] if self.devices else []


async def open_ends(options: ConnectOptions, stack: AsyncExitStack, tell: Tell) -> Ends:
    """Open what the options name; `stack` closes it. Raises `AudioUnavailable`, `UnreadableAudio`, `WrongFormat`."""
    ends = Ends(source=_played(options))
    if ends.source is None and not options.no_input:
        ends.source = await _device(_microphone, options.input_device, options, stack, tell, ends)
    if not options.no_output:
        ends.sink = await _device(_speaker, options.output_device, options, stack, tell, ends)
    if len(ends.devices) == 2:
        ends.canceller = _canceller(options, tell)
    return ends


def _played(options: ConnectOptions) -> Source | None:
    if options.play_from is None:
        return None
    if options.play_from == PIPE:
        return PipeSource(sys.stdin.buffer, options.raw_rate)
    return FileSource(options.play_from, options.loop)


def _microphone(wanted: str | None, tell: Tell) -> Microphone:
    return Microphone(choose(devices(), wanted, Direction.INPUT), on_change=tell)


def _speaker(wanted: str | None, tell: Tell) -> Speaker:
    return Speaker(choose(devices(), wanted, Direction.OUTPUT), on_change=tell)


async def _device(
    make: Callable[[str | None, Tell], D],
    wanted: str | None,
    options: ConnectOptions,
    stack: AsyncExitStack,
    tell: Tell,
    ends: Ends,
) -> D | None:
    """A device, or None where files do its work and nobody asked for it by name."""
    try:
        device = await stack.enter_async_context(make(wanted, tell))
    except AudioUnavailable as error:
        if wanted is None and (options.play_from or options.record_to):
            tell(f"{error}: the call goes on without")
            return None
        raise
    ends.devices.append(device)
    return device


def _canceller(options: ConnectOptions, tell: Tell) -> EchoCanceller | None:
    if options.push_to_talk or not options.aec:
        return None
    if EchoCanceller.available():
        return EchoCanceller()
    tell("use headphones, or the bot hears itself: `pip install 'smallrtc-cli[aec]'` mends that, or `--push-to-talk`")
    return None
