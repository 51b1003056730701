"""PESQ and STOI of what came out, and what it cost."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pesq import pesq
from pystoi import stoi
from scipy.signal import resample_poly

from opus_quality.path import send
from opus_quality.sender import RATE, Sender, Setting, decoder
from opus_quality.speech import Clip

_PESQ_RATE = 16_000
"Hz of the wideband model (ITU-T P.862.2)."


@dataclass(frozen=True)
class Score:
    """One clip at one loss: MOS-LQO from 1 to 4.6, STOI from 0 to 1, bits a second."""

    pesq: float
    stoi: float
    bitrate: float
    recorded: bool


def score(clip: Clip, setting: Setting, lost: float, seed: int) -> Score:
    """Heard once, with losses that only `seed` decides: the same for every setting."""
    heard = send(clip.samples, setting, lost, seed)
    said, got = _thinned(clip.samples[: len(heard.samples), 0]), _thinned(heard.samples)
    return Score(pesq(_PESQ_RATE, said, got, "wb"), stoi(said, got, _PESQ_RATE), heard.bitrate, clip.recorded)


def cost(clips: Iterable[Clip], setting: Setting, rounds: int = 5) -> tuple[float, float]:
    """Microseconds to encode and to decode a packet while nothing is lost: processor time, the least of some rounds."""
    found = [_cost(clip.samples, setting) for clip in clips for _ in range(rounds)]
    each = [min(found[start : start + rounds]) for start in range(0, len(found), rounds)]
    return float(np.mean([encode for encode, _ in each])), float(np.mean([decode for _, decode in each]))


def _cost(said: NDArray[np.int16], setting: Setting) -> tuple[float, float]:
    sender, receiver = Sender(said, setting), decoder(setting)
    began = time.thread_time()
    packets = list(sender)
    encoded = time.thread_time()
    for packet in packets:
        receiver.decode(packet)
    decoded = time.thread_time()
    return 1e6 * (encoded - began) / len(packets), 1e6 * (decoded - encoded) / len(packets)


def _thinned(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    sound = resample_poly(samples.astype(float), _PESQ_RATE, RATE)
    return sound.round().clip(-32768, 32767).astype(np.int16)
