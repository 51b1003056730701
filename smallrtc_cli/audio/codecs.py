"""One shape for every codec of a call: encoders and decoders by MIME type, and how RTP counts their time.

    codec  sound           RTP clock   a lost packet
    opus   8 … 48 kHz      48 kHz      in-band FEC, else libopus conceals
    G722   16 kHz, mono    8 kHz       whoever plays conceals
    PCMU   8 kHz, mono     8 kHz       whoever plays conceals
    PCMA   8 kHz, mono     8 kHz       whoever plays conceals

G722's clock is half of its rate: RFC 1890 had it wrong, and RFC 3551 section 4.5.2 keeps it. Opus counts at 48 kHz
whatever the sound has (RFC 7587 section 4.1).
"""

from dataclasses import dataclass

from smallrtc_cli.audio.coder import Decoder as Decoder
from smallrtc_cli.audio.coder import Encoder as Encoder
from smallrtc_cli.audio.g711 import RATE as G711_RATE
from smallrtc_cli.audio.g711 import G711Decoder, G711Encoder
from smallrtc_cli.audio.g722 import RATE as G722_RATE
from smallrtc_cli.audio.g722 import G722Decoder, G722Encoder
from smallrtc_cli.audio.libopus import load
from smallrtc_cli.audio.opus import RATES as OPUS_RATES
from smallrtc_cli.audio.opus import OpusDecoder, OpusEncoder
from smallrtc_cli.audio.opus_pyav import PyavOpusDecoder, PyavOpusEncoder
from smallrtc_cli.config import Opus


@dataclass(frozen=True, slots=True)
class Codec:
    """What a codec is to RTP, and what sound it takes."""

    mime: str
    clock_rate: int
    "Ticks of the RTP timestamp a second."
    rates: tuple[int, ...]
    "Sample rates in Hz that it takes and gives, ascending."
    channels: tuple[int, ...]

    @property
    def is_opus(self) -> bool:
        """Whether there are several ways of coding."""
        return self.mime == "audio/opus"

    def rate_for(self, rate: int) -> int:
        """The rate that loses nothing of sound of `rate` Hz, or the highest."""
        return next((each for each in self.rates if each >= rate), self.rates[-1])

    def channels_for(self, channels: int) -> int:
        return min(channels, self.channels[-1])

    def ticks(self, samples: int, rate: int) -> int:
        """By how much `samples` at `rate` Hz move the RTP timestamp on."""
        return samples * self.clock_rate // rate


CODECS = {
    codec.mime.lower(): codec
    for codec in (
        Codec("audio/opus", 48_000, OPUS_RATES, (1, 2)),
        Codec("audio/G722", 8_000, (G722_RATE,), (1,)),
        Codec("audio/PCMU", 8_000, (G711_RATE,), (1,)),
        Codec("audio/PCMA", 8_000, (G711_RATE,), (1,)),
    )
}
"By MIME type in lower case."


def native_rate(rate: int) -> int:
    """The rate of Opus that loses nothing of sound of `rate` Hz, or the highest."""
    return CODECS["audio/opus"].rate_for(rate)


def encoder_for(mime: str, rate: int, channels: int, settings: Opus) -> Encoder:
    """The encoder whose sound is nearest to `rate` and `channels`: look at its own, and convert.

    Of `settings` only the packet time means something to codecs other than Opus. Raises `KeyError` for a codec that
    is not in `CODECS`.
    """
    codec = CODECS[mime.lower()]
    rate, channels = codec.rate_for(rate), codec.channels_for(channels)
    packet = round(rate * settings.packet)
    match codec.mime:
        case "audio/opus":
            library = load()
            return (
                OpusEncoder(library, rate, channels, settings) if library else PyavOpusEncoder(rate, channels, settings)
            )
        case "audio/G722":
            return G722Encoder(packet)
        case _:
            return G711Encoder(codec.mime.removeprefix("audio/"), packet)


def decoder_for(mime: str, rate: int, channels: int) -> Decoder:
    """The decoder whose sound is nearest to `rate` and `channels`: look at its own, and convert.

    Raises `KeyError` for a codec that is not in `CODECS`.
    """
    codec = CODECS[mime.lower()]
    match codec.mime:
        case "audio/opus":
            rate, channels, library = codec.rate_for(rate), codec.channels_for(channels), load()
            return OpusDecoder(library, rate, channels) if library else PyavOpusDecoder(rate, channels)
        case "audio/G722":
            return G722Decoder()
        case _:
            return G711Decoder(codec.mime.removeprefix("audio/"))
