"""One encoder, random loss, one decoder: what a listener with an ideal jitter buffer hears."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opus_quality.speech import RATE
from smallrtc_cli.audio.libopus import load
from smallrtc_cli.audio.opus import OpusDecoder, OpusEncoder
from smallrtc_cli.config import Opus


@dataclass(frozen=True)
class Setting:
    """What is compared."""

    name: str
    opus: Opus
    channels: int = 1


@dataclass(frozen=True)
class Heard:
    """Mono at 48 kHz, in step with what was said; bits a second that it took."""

    samples: NDArray[np.int16]
    bitrate: float


def send(said: NDArray[np.int16], setting: Setting, lost: float, seed: int) -> Heard:
    """What arrives of `said` when a part `lost` of the packets does not, each by chance."""
    encoder, decoder = coders(setting)
    packets = [encoder.encode(each) for each in pieces(said, setting, encoder.packet)]
    arrived = np.random.RandomState(seed).random_sample(len(packets)) >= lost
    sound = [_heard(decoder, packets, arrived, index, encoder.packet) for index in range(len(packets))]
    bits = 8 * sum(map(len, packets)) / (len(packets) * encoder.packet / RATE)
    return Heard(np.concatenate(sound)[encoder.lookahead :, 0][: len(said)], bits)


def coders(setting: Setting) -> tuple[OpusEncoder, OpusDecoder]:
    """As a call would have them."""
    library = load()
    assert library is not None, "there is no libopus"
    encoder = OpusEncoder(library, RATE, setting.channels, setting.opus)
    return encoder, OpusDecoder(library, RATE, setting.channels)


def pieces(said: NDArray[np.int16], setting: Setting, packet: int) -> list[NDArray[np.int16]]:
    """Packets of sound; one more than there is sound for, so that the codec's delay can be cut off."""
    count = len(said) // packet + 2
    padded = np.zeros((count * packet, setting.channels), np.int16)
    padded[: len(said)] = said
    return np.split(padded, count)


def _heard(
    decoder: OpusDecoder, packets: list[bytes], arrived: NDArray[np.bool_], index: int, packet: int
) -> NDArray[np.int16]:
    if arrived[index]:
        return decoder.decode(packets[index])
    following = index + 1
    if following < len(packets) and arrived[following]:
        recovered = decoder.recover(packets[following], packet)
        if recovered is not None:
            return recovered
    return decoder.conceal(packet)
