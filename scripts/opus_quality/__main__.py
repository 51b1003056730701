"""The settings that are compared, and the table; `python -m opus_quality`, by way of `scripts/opus-quality`.

Each clip passes each setting once for each loss, with the same packets lost for all. PESQ is the wideband MOS-LQO,
recorded speech / synthetic speech; µs are for encoding + decoding 20 ms on one core of this machine.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from opus_quality.path import Setting, coders
from opus_quality.scores import Score, cost, score
from opus_quality.speech import RATE, Clip, clips
from smallrtc_cli.config import Opus

_LOSSES = (0.0, 0.01, 0.05, 0.1)

_BASE = Opus(fec=False, loss=0)

SETTINGS = [
    Setting("smallrtc's default", Opus()),
    Setting("aiortc: voip c10 96k stereo", replace(_BASE, application="voip", complexity=10, bitrate=48_000), 2),
    *(
        Setting(
            f"voip c{c} {b}k" + (f" FEC {loss} %" if loss else ""),
            replace(_BASE, application="voip", complexity=c, bitrate=b * 1000, fec=loss > 0, loss=loss),
        )
        for c, b, loss in [
            (5, 24, 10),
            (10, 24, 10),
            (5, 32, 0),
            (5, 32, 5),
            (5, 32, 10),
            (5, 32, 20),
            (10, 32, 10),
            (5, 40, 10),
            (5, 48, 10),
            (5, 64, 10),
        ]
    ),
    *(
        Setting(
            f"audio c{c} {b}k" + (f" FEC {loss} %" if loss else ""),
            replace(_BASE, application="audio", complexity=c, bitrate=b * 1000, fec=loss > 0, loss=loss),
        )
        for c, b, loss in [(5, 32, 10), (5, 48, 0), (5, 48, 10)]
    ),
    *(
        Setting(
            f"lowdelay c{c} {b}k" + (f" loss {loss} %" if loss else ""),
            replace(_BASE, application="lowdelay", complexity=c, bitrate=b * 1000, loss=loss),
        )
        for c, b, loss in [(5, 32, 0), (0, 48, 0), (5, 48, 0), (5, 48, 10), (10, 48, 0), (5, 64, 0), (5, 64, 10)]
    ),
]


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
