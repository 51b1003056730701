"""PortAudio and the sound devices. A call works without them, with files: so nothing here fails."""

from typing import Final

from smallrtc_cli.audio.devices import Device, Direction, choose, devices
from smallrtc_cli.commands.doctor.bounds import STEP, Tell, Tried, tried
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable, SmallRTCError
from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.rtc.lookup import on_thread

NAME: Final = "devices"


async def examine(tell: Tell) -> None:
    """List the devices, on a thread of their own: a sound server may hang."""
    settings = Devices(answer_timeout=STEP)
    tell(judge(await tried(on_thread(lambda: devices(settings), "list devices"), 2 * STEP)))


def judge(listed: Tried[list[Device]]) -> Stage:
    """Name the defaults, or what is missing."""
    if listed.value is None:
        sentence = str(listed.error) or "the sound system does not answer"
        cure = getattr(listed.error, "hint", None) or AudioUnavailable.hint
        return Stage(NAME, Mark.WARN, f"no sound devices: {sentence}", cure, listed.seconds)
    if not listed.value:
        return Stage(NAME, Mark.WARN, "there is no sound device", AudioUnavailable.hint, listed.seconds)
    try:
        microphone = choose(listed.value, None, Direction.INPUT)
        speaker = choose(listed.value, None, Direction.OUTPUT)
    except SmallRTCError as error:
        return Stage(NAME, Mark.WARN, str(error), error.hint, listed.seconds)
    detail = f"microphone `{microphone.name}`, speaker `{speaker.name}`, of {len(listed.value)} devices"
    return Stage(NAME, Mark.OK, detail, None, listed.seconds)
