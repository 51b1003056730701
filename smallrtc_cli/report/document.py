"""A report as one JSON document: strictly valid, in a stable order, with a version that a script can check.

Numbers that JSON does not know (NaN, the infinities) become null. New keys may come under version 1; none
goes away.
"""

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from typing import Any

from smallrtc_cli.report.checks import Check, Verdict

VERSION = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What a command found.

    `headline` is the answer in words, `seconds` how long it took, `faults` sentences on what went wrong,
    the worst first. `measurements` holds what JSON can hold, and numpy's scalars and arrays. With repeats
    `runs` has one report each, and this one sums them up.
    """

    command: str
    verdict: Verdict
    headline: str
    seconds: float
    checks: tuple[Check, ...] = ()
    measurements: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    runs: tuple["Report", ...] = ()


def document(report: Report) -> dict[str, Any]:
    """The report as plain values, keys in the order in which they are printed.

    Raises TypeError for a measurement that JSON cannot hold.
    """
    head = {"version": VERSION, "command": report.command}
    tail: dict[str, Any] = {"environment": dict(report.environment), "faults": list(report.faults)}
    if report.runs:
        tail["runs"] = [_result(run) | {"faults": list(run.faults)} for run in report.runs]
    return head | _result(report) | tail


def _result(report: Report) -> dict[str, Any]:
    return {
        "verdict": report.verdict.value,
        "headline": report.headline,
        "seconds": plain(report.seconds),
        "checks": [_check(check) for check in report.checks],
        "measurements": plain(report.measurements),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "value": plain(check.value),
        "unit": check.unit,
        "limit": plain(check.limit),
        "verdict": check.verdict.value,
    }


def plain(value: Any) -> Any:
    """`value` as JSON's own types; numpy's scalars count as the numbers they register as."""
    match value:
        case None | bool() | str():
            return value.value if isinstance(value, Enum) else value
        case Enum():
            return plain(value.value)
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            number = float(value)
            return number if math.isfinite(number) else None
        case PurePath():
            return str(value)
        case Mapping():
            return {str(plain(key)): plain(each) for key, each in value.items()}
        case Sequence() if not isinstance(value, (bytes, bytearray, memoryview)):
            return [plain(each) for each in value]
        case _ if hasattr(value, "tolist"):  # a numpy array, or numpy's own bool
            return plain(value.tolist())
        case _:
            raise TypeError(f"a report cannot hold a {type(value).__name__}: {value!r}")


def encode(report: Report) -> str:
    """The JSON document as text: ASCII alone, so that it survives any locale, without a final newline."""
    return json.dumps(document(report), indent=2, allow_nan=False, ensure_ascii=True)
