"""The settings that are compared, and the table; `python -m opus_quality`, by way of `scripts/opus-quality`.

Each clip passes each setting once for each loss, with the same packets lost for all. PESQ is the wideband MOS-LQO,
recorded speech / synthetic speech; µs are for encoding + decoding 20 ms on one core of this machine.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from opus_quality.path import Setting, coders
from opus_quality.scores import Score, cost, score
from opus_quality.speech import RATE, Clip, clips
from smallrtc_cli.config import Opus

Application = Literal["voip", "audio", "lowdelay"]

_LOSSES = (0.0, 0.01, 0.05, 0.1)

_AIORTC = Opus(application="voip", complexity=10, bitrate=48_000, fec=False, loss=0)


def _mono(application: Application, complexity: int, kilobits: int, *, fec: bool) -> Setting:
    opus = Opus(application, 1000 * kilobits, complexity, fec=fec, loss=10 if fec else 0)
    return Setting(f"{application} c{complexity} {kilobits}k{' FEC' if fec else ''}", opus)


SETTINGS = [
    Setting("**smallrtc** under loss: audio c5 64k FEC", Opus()),
    _mono("audio", 5, 64, fec=False),
    _mono("voip", 5, 48, fec=True),
    Setting("aiortc: voip c10 96k stereo", _AIORTC, channels=2),
    _mono("voip", 5, 48, fec=False),
    _mono("voip", 5, 24, fec=True),
    _mono("voip", 5, 32, fec=True),
    _mono("voip", 5, 64, fec=True),
    _mono("voip", 0, 48, fec=True),
    _mono("voip", 3, 48, fec=True),
    _mono("voip", 8, 48, fec=True),
    _mono("audio", 5, 48, fec=True),
    _mono("audio", 5, 48, fec=False),
    _mono("lowdelay", 0, 48, fec=False),
    _mono("lowdelay", 5, 48, fec=False),
    _mono("lowdelay", 10, 48, fec=False),
    _mono("lowdelay", 5, 64, fec=False),
]
"FEC with 10 % of loss expected; without FEC none is, which in itself is worth up to 0.2 MOS either way."


def main() -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(prog="opus-quality", description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="settings whose name has this in it")
    chosen = parser.parse_args()
    speech = clips(chosen.recordings)
    sys.stdout.write(_head())
    with ProcessPoolExecutor() as pool:
        for setting in SETTINGS:
            if (chosen.only or "") in setting.name:
                scores = [_scores(pool, speech, setting, lost) for lost in _LOSSES]
                sys.stdout.write(_row(setting, scores, cost(speech[::4], setting)))
                sys.stdout.flush()
    return 0


def _scores(pool: ProcessPoolExecutor, speech: list[Clip], setting: Setting, lost: float) -> list[Score]:
    jobs = [pool.submit(score, clip, setting, lost, seed) for seed, clip in enumerate(speech)]
    return [job.result() for job in jobs]


def _head() -> str:
    losses = [f"{lost:.0%}" for lost in _LOSSES]
    names = ["setting", "kbit/s", "µs", "delay ms", *(f"PESQ {x}" for x in losses), *(f"STOI {x}" for x in losses)]
    return f"| {' | '.join(names)} |\n|---{'|---:' * (len(names) - 1)}|\n"


def _row(setting: Setting, scores: list[list[Score]], micros: tuple[float, float]) -> str:
    encoder, _ = coders(setting)
    bitrate = np.mean([each.bitrate for each in scores[0]]) / 1000
    cells = [
        setting.name,
        f"{bitrate:.0f}",
        f"{micros[0]:.0f} + {micros[1]:.0f}",
        f"{1000 * encoder.lookahead / RATE:.1f}",
    ]
    cells += [f"{_mean(found, True):.2f} / {_mean(found, False):.2f}" for found in scores]
    cells += [f"{np.mean([each.stoi for each in found]):.3f}" for found in scores]
    return f"| {' | '.join(cells)} |\n"


def _mean(found: list[Score], recorded: bool) -> float:
    some = [each.pesq for each in found if each.recorded is recorded]
    return float(np.mean(some)) if some else float("nan")


if __name__ == "__main__":
    sys.exit(main())
