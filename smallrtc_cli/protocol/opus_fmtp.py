"""What a description says about Opus: its format parameters (RFC 7587 section 6.1), `ptime` and `maxptime`.

A side writes what it wants to *receive*; `sprop-stereo` alone tells what it sends. `obeyed` turns what the other side
wrote into the settings of our encoder.
"""

import re
from dataclasses import dataclass, replace

from smallrtc_cli.config import Opus
from smallrtc_cli.protocol.sdp import Section

_PACKETS = (0.06, 0.04, 0.02, 0.01)
"Seconds that our packets may last, longest first."

_BITRATES = (6_000, 510_000)
"Bits a second that Opus has (RFC 7587 section 6.1)."

_RATES = (48_000, 24_000, 16_000, 12_000, 8_000)

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class OpusParameters:
    """One side's wishes; None and the defaults are what holds where nothing is said."""

    fec: bool = False
    "It can make use of in-band error correction: `useinbandfec`."

    dtx: bool | None = None
    "Whether it wants silence left out: `usedtx`."

    stereo: bool | None = None
    "Whether it wants two channels: `stereo`."

    sends_stereo: bool | None = None
    "Whether it is going to send two channels: `sprop-stereo`."

    cbr: bool = False
    "It wants packets of one size."

    bitrate: int | None = None
    "Bits a second that it wants at most, all channels together: `maxaveragebitrate`."

    playback_rate: int = 48_000
    "Hz that it plays, so that higher sound is wasted on it: `maxplaybackrate`."

    packet: float | None = None
    "Seconds of sound that it wants in a packet: `ptime`."

    longest: float = 0.120
    "Seconds of sound that it takes in a packet: `maxptime`."

    def obeyed(self, settings: Opus, channels: int) -> Opus:
        """Our settings, as far as the side that wrote this allows; `channels` are what we send."""
        bitrate = settings.bitrate if self.bitrate is None else min(settings.bitrate, self.bitrate // channels)
        wanted = min(self.packet or settings.packet, self.longest)
        return replace(
            settings,
            fec=settings.fec and self.fec,
            dtx=settings.dtx if self.dtx is None else self.dtx,
            cbr=settings.cbr or self.cbr,
            bitrate=bitrate,
            playback_rate=min(settings.playback_rate, self.playback_rate),
            packet=next((each for each in _PACKETS if each <= wanted), _PACKETS[-1]),
        )

    def lines(self, payload_type: int) -> list[str]:
        """The lines that say this, without their line ends; nothing is said that holds anyway."""
        said = {
            "minptime": 10,
            "useinbandfec": int(self.fec),
            "usedtx": _flag(self.dtx),
            "stereo": _flag(self.stereo),
            "sprop-stereo": _flag(self.sends_stereo),
            "cbr": int(self.cbr) or None,
            "maxaveragebitrate": self.bitrate,
            "maxplaybackrate": self.playback_rate if self.playback_rate != _RATES[0] else None,
        }
        parameters = ";".join(f"{name}={value}" for name, value in said.items() if value is not None)
        lines = [f"a=fmtp:{payload_type} {parameters}"]
        if self.packet is not None:
            lines.append(f"a=ptime:{round(1000 * self.packet)}")
        return [*lines, f"a=maxptime:{round(1000 * self.longest)}"]


def read_opus(section: Section, payload_type: int) -> OpusParameters:
    """What an m-line says about the payload type that it maps to Opus; what cannot be read counts as not said."""
    texts = [v.partition(" ")[2] for v in section.attributes("fmtp") if v.partition(" ")[0] == str(payload_type)]
    pairs = (pair.partition("=") for text in texts for pair in text.split(";"))
    said = {name.strip().lower(): value.strip() for name, _, value in pairs}
    bitrate = _number(said.get("maxaveragebitrate"))
    return OpusParameters(
        fec=_truth(said.get("useinbandfec")) or False,
        dtx=_truth(said.get("usedtx")),
        stereo=_truth(said.get("stereo")),
        sends_stereo=_truth(said.get("sprop-stereo")),
        cbr=_truth(said.get("cbr")) or False,
        bitrate=None if bitrate is None else min(max(bitrate, _BITRATES[0]), _BITRATES[1]),
        playback_rate=_rate(_number(said.get("maxplaybackrate"))),
        packet=_seconds(section.attribute("ptime")),
        longest=_seconds(section.attribute("maxptime")) or OpusParameters().longest,
    )


def _truth(text: str | None) -> bool | None:
    return {"0": False, "1": True}.get(text or "")


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _number(text: str | None) -> int | None:
    return int(text) if text and _NUMBER.fullmatch(text) else None


def _rate(wanted: int | None) -> int:
    """The highest rate of Opus that is not above what is wanted."""
    if wanted is None:
        return _RATES[0]
    return next((rate for rate in _RATES if rate <= wanted), _RATES[-1])


def _seconds(text: str | None) -> float | None:
    """Milliseconds as seconds; none for what is no duration."""
    number = _number(text)
    return number / 1000 if number else None
