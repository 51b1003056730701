"""The settings that are compared, and the table; `python -m opus_quality`, by way of `scripts/opus-quality`.

Each clip passes each setting, some times where packets are lost, and the same ones for all settings. PESQ is the
wideband MOS-LQO, recorded speech / synthetic speech; µs are for encoding + decoding 20 ms on one core of this machine.
Where one setting follows the other, kbit/s, µs and delay are the first one's; clips last some seconds, so that the one
without correction, until the first report, weighs more than in a call, whose later speech is as with the second alone.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from opus_quality.scores import Score, cost, score
from opus_quality.sender import RATE, Setting, encoder
from opus_quality.speech import Clip, clips
from smallrtc_cli.config import Opus

Application = Literal["voip", "audio", "lowdelay"]

_LOSSES = (0.0, 0.01, 0.05, 0.1)

_DRAWS = 4
"Times that each clip is sent where packets are lost: by which ones are, one time deviates by up to 0.25 MOS at 5 %."


def _opus(application: Application, complexity: int, kilobits: int, *, fec: bool = False) -> Opus:
    """FEC with 10 % of loss expected; without it none is, which in itself is worth up to 0.2 MOS either way."""
    return Opus(application, 1000 * kilobits, complexity, fec=fec, loss=10 if fec else 0)


def _mono(application: Application, complexity: int, kilobits: int, *, fec: bool = False) -> Setting:
    name = f"{application} c{complexity} {kilobits}k{' FEC' if fec else ''}"
    return Setting(name, _opus(application, complexity, kilobits, fec=fec))


def _in_turn(kilobits: int, corrected: int) -> Setting:
    name = f"lowdelay c5 {kilobits}k, from the first report of loss audio c5 {corrected}k FEC"
    return Setting(name, _opus("audio", 5, corrected, fec=True), clean=_opus("lowdelay", 5, kilobits))


SETTINGS = [
    _in_turn(80, 80),
    _in_turn(64, 64),
    Setting("aiortc: voip c10 96k stereo", _opus("voip", 10, 48), channels=2),
    _mono("lowdelay", 5, 80),
    _mono("lowdelay", 10, 80),
    _mono("lowdelay", 0, 80),
    _mono("lowdelay", 5, 96),
    _mono("lowdelay", 5, 64),
    _mono("lowdelay", 5, 48),
    _mono("audio", 5, 80),
    _mono("audio", 5, 80, fec=True),
    _mono("audio", 8, 80, fec=True),
    _mono("audio", 3, 80, fec=True),
    _mono("audio", 5, 64, fec=True),
    _mono("audio", 5, 48, fec=True),
    _mono("voip", 5, 80),
    _mono("voip", 5, 80, fec=True),
    _mono("voip", 5, 64, fec=True),
    _mono("voip", 5, 48, fec=True),
]


def main() -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(prog="opus-quality", description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="settings whose name has this in it")
    parser.add_argument(
        "--quick", action="store_true", help="every third clip, once: a minute, but too rough to decide by"
    )
    parser.add_argument("--processes", type=int, help="how many clips are measured at a time (default: one a core)")
    chosen = parser.parse_args()
    speech = clips(chosen.recordings)[:: 3 if chosen.quick else 1]
    draws = 1 if chosen.quick else _DRAWS
    sys.stdout.write(_head())
    with ProcessPoolExecutor(chosen.processes) as pool:
        for setting in SETTINGS:
            if (chosen.only or "") in setting.name:
                scores = [_scores(pool, speech, setting, lost, draws if lost else 1) for lost in _LOSSES]
                sys.stdout.write(_row(setting, scores, cost(speech[::4], setting)))
                sys.stdout.flush()
    return 0


def _scores(pool: ProcessPoolExecutor, speech: list[Clip], setting: Setting, lost: float, draws: int) -> list[Score]:
    jobs = [pool.submit(score, clip, setting, lost, seed) for seed, clip in enumerate(speech * draws)]
    return [job.result() for job in jobs]


def _head() -> str:
    losses = [f"{lost:.0%}" for lost in _LOSSES]
    names = ["setting", "kbit/s", "µs", "delay ms", *(f"PESQ {x}" for x in losses), *(f"STOI {x}" for x in losses)]
    return f"| {' | '.join(names)} |\n|---{'|---:' * (len(names) - 1)}|\n"


def _row(setting: Setting, scores: list[list[Score]], micros: tuple[float, float]) -> str:
    delay = encoder(setting, setting.clean or setting.opus).lookahead
    bitrate = np.mean([each.bitrate for each in scores[0]]) / 1000
    cells = [
        setting.name,
        f"{bitrate:.0f}",
        f"{micros[0]:.0f} + {micros[1]:.0f}",
        f"{1000 * delay / RATE:.1f}",
    ]
    cells += [f"{_mean(found, True):.2f} / {_mean(found, False):.2f}" for found in scores]
    cells += [f"{np.mean([each.stoi for each in found]):.3f}" for found in scores]
    return f"| {' | '.join(cells)} |\n"


def _mean(found: list[Score], recorded: bool) -> float:
    some = [each.pesq for each in found if each.recorded is recorded]
    return float(np.mean(some)) if some else float("nan")


if __name__ == "__main__":
    sys.exit(main())
