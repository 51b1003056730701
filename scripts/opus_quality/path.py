"""One sender, random loss, and the receiver of a call: what a listener hears."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from opus_quality.sender import RATE, Sender, Setting, decoder
from smallrtc_cli.audio.playout import Playout, Sound

Arrived = NDArray[np.bool_]
"Of each packet, whether it does."


@dataclass(frozen=True)
class Heard:
    """Mono at 48 kHz, in step with what was said; bits a second that it took."""

    samples: NDArray[np.int16]
    bitrate: float


def send(said: NDArray[np.int16], setting: Setting, lost: float, seed: int) -> Heard:
    """What arrives of `said` when a part `lost` of the packets does not, each by chance."""
    sender = Sender(said, setting)
    chance = np.random.RandomState(seed)
    arrived = chance.random_sample(sender.packets) >= lost
    packets = _reported(sender, arrived, chance)
    bits = 8 * sum(map(len, packets)) * RATE / (len(packets) * sender.packet)
    return Heard(_played(packets, arrived, setting, sender.packet)[sender.late :][: len(said)], bits)


def _reported(sender: Sender, arrived: Arrived, chance: np.random.RandomState) -> list[bytes]:
    """The packets, sent in the knowledge of what the far side reports."""
    packets: list[bytes] = []
    sending = iter(sender)
    for report in _reports(sender, chance):
        since = len(packets)
        packets += islice(sending, report - since)
        if len(packets) > since:
            sender.reported(1 - float(np.mean(arrived[since : len(packets)])))
    return packets


def _reports(sender: Sender, chance: np.random.RandomState) -> Iterator[int]:
    """Before which packets a report comes: every 0.5 to 1.5 seconds (RFC 3550 section 6.2, as aiortc has it)."""
    packet = 0
    while packet < sender.packets:
        packet += round(chance.uniform(0.5, 1.5) * RATE / sender.packet)
        yield min(packet, sender.packets)


def _played(packets: list[bytes], arrived: Arrived, setting: Setting, packet: int) -> NDArray[np.int16]:
    """By the jitter buffer, in virtual time: packets leave in even steps, and take no time."""
    playout = Playout(decoder(setting))
    sounds: list[Sound] = []
    for index in np.flatnonzero(arrived):
        now = float(index * packet / RATE)
        if playout.deadline is not None and playout.deadline <= now:
            sounds += playout.tick(playout.deadline)
        sounds += playout.receive(int(index), int(index) * packet, packets[index], now)
    sounds += playout.restart(len(packets) * packet / RATE)
    heard = np.zeros(len(packets) * packet, np.int16)
    for sound in sounds:
        heard[sound.timestamp : sound.end] = sound.samples[:, 0]
    return heard
