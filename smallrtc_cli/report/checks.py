"""Limits and what came of them: pure values.

A `Limit` says what a figure may be, `judge` compares one figure with it, `overall` sums checks up: one
failed check fails the whole, otherwise one that could not be decided leaves it open. What was not measured
never passes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum

from smallrtc_cli.errors import ExitCode, UsageError


class Sense(StrEnum):
    """How a figure is held against its limit."""

    AT_MOST = "at most"
    AT_LEAST = "at least"
    WITHIN = "within ±"
    "The absolute value is at most the limit."


class Verdict(StrEnum):
    """What a check, or a whole report, came to."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Limit:
    """What the figure `name` may be.

    `default` is the bound, in `unit` ("" for a count); `override` returns limits with another one.
    `meaning` is a few words for people.
    """

    name: str
    unit: str
    default: float
    meaning: str
    sense: Sense = Sense.AT_MOST

    def __str__(self) -> str:
        return _bounded(self.sense, self.default, self.unit)


@dataclass(frozen=True, slots=True)
class Check:
    """A figure held against its limit; `value` is None when it was not measured, `detail` is a sentence."""

    name: str
    value: float | None
    unit: str
    limit: float
    verdict: Verdict
    detail: str
    sense: Sense = Sense.AT_MOST

    @property
    def bound(self) -> str:
        """The limit for people, as `≥ 15 dB`."""
        return _bounded(self.sense, self.limit, self.unit)


_SIGNS = {Sense.AT_MOST: "≤", Sense.AT_LEAST: "≥", Sense.WITHIN: "±"}


def quantity(value: float, unit: str) -> str:
    """A figure for people: four significant digits, whole numbers whole, with its unit.

    >>> quantity(31.24159, "ms"), quantity(12000.0, "")
    ('31.24 ms', '12000')
    """
    value += 0.0  # no "-0"
    digits = f"{value:.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"
    return f"{digits} {unit}".rstrip()


def _bounded(sense: Sense, bound: float, unit: str) -> str:
    return f"{_SIGNS[sense]} {quantity(bound, unit)}"


def judge(limit: Limit, value: float | None, conclusive: bool = True) -> Check:
    """Hold `value` against `limit`.

    None and NaN are inconclusive, and so is any value with `conclusive=False`: the measurement itself is in
    doubt.
    """
    if value is None or math.isnan(value):
        return _check(limit, None, Verdict.INCONCLUSIVE, "was not measured")
    figure = quantity(value, limit.unit)
    if figure == quantity(limit.default, limit.unit):
        figure = f"{value} {limit.unit}".rstrip()  # 150.04 ms is above a limit of 150 ms, and has to look it
    if not conclusive:
        return _check(limit, value, Verdict.INCONCLUSIVE, f"is {figure}, but the measurement is in doubt")
    if _holds(limit, value):
        return _check(limit, value, Verdict.PASSED, f"is {figure}")
    return _check(limit, value, Verdict.FAILED, f"is {figure}")


def _check(limit: Limit, value: float | None, verdict: Verdict, finding: str) -> Check:
    detail = f"{limit.name} {finding} (limit {limit})"
    return Check(limit.name, value, limit.unit, limit.default, verdict, detail, limit.sense)


def _holds(limit: Limit, value: float) -> bool:
    match limit.sense:
        case Sense.AT_MOST:
            return value <= limit.default
        case Sense.AT_LEAST:
            return value >= limit.default
        case Sense.WITHIN:
            return abs(value) <= limit.default


def override(limits: Sequence[Limit], typed: Iterable[str]) -> tuple[Limit, ...]:
    """The limits with those in `typed` ("name=value") replaced; of a name typed twice the last counts.

    Raises UsageError for a name that is not there, naming the closest one that is, and for what is no
    finite number.
    """
    bounds = dict(_parsed(limits, text) for text in typed)
    return tuple(replace(limit, default=bounds.get(limit.name, limit.default)) for limit in limits)


def _parsed(limits: Sequence[Limit], text: str) -> tuple[str, float]:
    name, equals, number = (part.strip() for part in text.partition("="))
    if not equals:
        raise UsageError(f"`{text}` is not a limit", hint="a limit is `NAME=VALUE`, as in `round_trip_p95_ms=200`")
    names = [limit.name for limit in limits]
    if name not in names:
        close = get_close_matches(name, names, n=1, cutoff=0.5)
        known = "the limits are " + ", ".join(f"`{each}`" for each in names)
        raise UsageError(f"no limit is named `{name}`", hint=f"did you mean `{close[0]}`?" if close else known)
    return name, _bound(name, number)


def _bound(name: str, number: str) -> float:
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise UsageError(
            f"the limit `{name}` is `{number}`, which is no number",
            hint=f"give it as `{name}=100` or `{name}=0.5`",
        )
    return bound


def overall(checks: Iterable[Check]) -> Verdict:
    """Failed if one failed, else inconclusive if one is or if there is none at all, else passed."""
    return worst(check.verdict for check in checks)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on several runs, by the same rule as `overall`."""
    seen = set(verdicts)
    if Verdict.FAILED in seen:
        return Verdict.FAILED
    return Verdict.PASSED if seen == {Verdict.PASSED} else Verdict.INCONCLUSIVE


def exit_code(verdict: Verdict) -> ExitCode:
    """What the process says about a report with this verdict."""
    match verdict:
        case Verdict.PASSED:
            return ExitCode.OK
        case Verdict.FAILED:
            return ExitCode.FAILED
        case Verdict.INCONCLUSIVE:
            return ExitCode.INCONCLUSIVE
