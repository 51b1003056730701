"""The command line of `scripts/bench`."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from benchmark import endurance
from benchmark.contestants import FASTRTC, USUAL, Contestant
from benchmark.rounds import MEASUREMENTS

_KNOWN = {_each.name.lower().replace(" ", "-"): _each for _each in (*USUAL, FASTRTC)}

_EPILOG = """
Each figure is the median over the rounds; a ratio says how many times better smallrtc is. Echo latency is the time from
the capture of a sample to the arrival of the packet that carries it back: 20 ms of framing and two Opus look-aheads
included, no jitter buffer of the client. Loss is applied to RTP of both directions, jitter to that to the server, by a
seed. Endurance loses 2 % each way: of what it delivers, 98 % is all there is.
"""


class Options(argparse.Namespace):
    """As parsed."""

    only: list[str]
    servers: list[Contestant]
    extra: list[str]
    rounds: int
    minutes: float
    call_minutes: float
    json: bool
    markdown: bool
    plot: Path | None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Ends the program with 2 on what it does not know."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure smallrtc beside Pipecat's runner and bare aiortc on this machine, with one client.",
        epilog=_EPILOG,
    )
    kinds = "; ".join(f"{each.name}: {each.about}" for each in MEASUREMENTS)
    parser.add_argument("--only", type=_measurements, default=[], metavar="NAME[,NAME]", help=kinds)
    parser.add_argument("--servers", type=_servers, default=[*USUAL], metavar="NAME[,NAME]", help=", ".join(_KNOWN))
    parser.add_argument(
        "--with",
        dest="extra",
        action="append",
        default=[],
        choices=["fastrtc"],
        help="measure it, too; installs it first",
    )
    parser.add_argument(
        "--rounds",
        type=_count,
        default=2,
        metavar="N",
        help="how often, default 2; load and churn once, unless named alone",
    )
    parser.add_argument(
        "--minutes", type=float, default=6.0, metavar="M", help="begin no round that would end later, default 6"
    )
    parser.add_argument(
        "--call-minutes",
        type=_minutes,
        default=endurance.CALL_MINUTES,
        metavar="M",
        help="how long endurance calls, default 30",
    )
    parser.add_argument("--json", action="store_true", help="print one document instead of the table")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw bars, too")
    return _with_extra(parser.parse_args(arguments, Options()))


def _with_extra(options: Options) -> Options:
    if options.extra and FASTRTC not in options.servers:
        options.servers = [*options.servers, FASTRTC]
    return options


def _measurements(text: str) -> list[str]:
    return _names(text, [each.name for each in MEASUREMENTS])


def _servers(text: str) -> list[Contestant]:
    return [_KNOWN[name] for name in _names(text, list(_KNOWN))]


def _names(text: str, known: list[str]) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"`{unknown[0]}` is none of {', '.join(known)}")
    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of rounds")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of minutes")
    return minutes
