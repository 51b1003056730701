"""Sound devices: what there is, and which one is meant."""

from collections.abc import Sequence
from enum import StrEnum

from smallrtc_cli.audio import portaudio
from smallrtc_cli.audio.portaudio import Device
from smallrtc_cli.config import Devices
from smallrtc_cli.errors import AudioUnavailable, NoSuchDevice

__all__ = ["Device", "Direction", "choose", "devices", "same"]


class Direction(StrEnum):
    """What a device is wanted for."""

    INPUT = "input"
    OUTPUT = "output"


def devices(settings: Devices | None = None) -> list[Device]:
    """All that PortAudio lists, possibly none; blocks, 0.1 s as a rule. Raises `AudioUnavailable`."""
    with portaudio.stderr_kept():
        listing = portaudio.in_thread(portaudio.listed)
        try:
            return listing.result((settings or Devices()).answer_timeout)
        except TimeoutError:
            hint = f"is its server frozen? {AudioUnavailable.hint}"
            raise AudioUnavailable("the sound system does not answer", hint=hint) from None


def choose(found: Sequence[Device], wanted: str | None, direction: Direction) -> Device:
    """The device of an index or of a part of its name, in any case; None: the default one.

    A whole name wins over a part of another. Of several with one name, as Windows has for each of its sound systems,
    the one of the default device's system is taken. Raises `NoSuchDevice`.
    """
    able = [device for device in found if channels(device, direction)]
    if not able:
        raise NoSuchDevice(f"there is no {direction} device", hint=AudioUnavailable.hint)
    default = next((device for device in able if _is_default(device, direction)), able[0])
    if wanted is None:
        return default
    matches = _matches(able, wanted)
    if len({device.name for device in matches}) == 1:
        matches = [device for device in matches if device.host_api == default.host_api] or matches
    if len(matches) != 1:
        raise NoSuchDevice(_not_one(matches, wanted, direction))
    return matches[0]


def same(found: Sequence[Device], lost: Device, direction: Direction) -> Device:
    """A device that was there before, in a new list. Raises `NoSuchDevice`."""
    for device in found:
        if (device.name, device.host_api) == (lost.name, lost.host_api) and channels(device, direction):
            return device
    raise NoSuchDevice(f"the {direction} device `{lost.name}` is not there")


def channels(device: Device, direction: Direction) -> int:
    """How many it has in a direction."""
    return device.input_channels if direction is Direction.INPUT else device.output_channels


def _is_default(device: Device, direction: Direction) -> bool:
    return device.is_default_input if direction is Direction.INPUT else device.is_default_output


def _matches(able: Sequence[Device], wanted: str) -> list[Device]:
    part = wanted.strip().casefold()
    for matches in (
        [device for device in able if str(device.index) == part],
        [device for device in able if device.name.casefold() == part],
    ):
        if matches:
            return matches
    return [device for device in able if part and part in device.name.casefold()]


def _not_one(matches: Sequence[Device], wanted: str, direction: Direction) -> str:
    if not matches:
        return f"no {direction} device matches `{wanted}`"
    listed = ", ".join(f"{device.index} `{device.name}` ({device.host_api})" for device in matches)
    return f"`{wanted}` matches several {direction} devices: {listed}"
