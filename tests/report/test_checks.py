import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.errors import ExitCode, UsageError
from smallrtc_cli.report.checks import (
    Check,
    Limit,
    Sense,
    Verdict,
    exit_code,
    judge,
    overall,
    override,
    quantity,
    worst,
)

LATENCY = Limit("round_trip_p95_ms", "ms", 150, "there and back")
NOISE = Limit("snr_db", "dB", 15, "signal to noise", Sense.AT_LEAST)
DRIFT = Limit("drift_ppm", "ppm", 300, "clock", Sense.WITHIN)
LIMITS = (LATENCY, NOISE, DRIFT)


@pytest.mark.parametrize(
    ("limit", "value", "verdict"),
    [
        (LATENCY, 150.0, Verdict.PASSED),
        (LATENCY, 150.1, Verdict.FAILED),
        (NOISE, 15.0, Verdict.PASSED),
        (NOISE, 14.9, Verdict.FAILED),
        (DRIFT, -300.0, Verdict.PASSED),
        (DRIFT, -301.0, Verdict.FAILED),
        (DRIFT, 301.0, Verdict.FAILED),
        (LATENCY, math.inf, Verdict.FAILED),
        (LATENCY, math.nan, Verdict.INCONCLUSIVE),
        (LATENCY, None, Verdict.INCONCLUSIVE),
    ],
)
def test_a_value_is_held_against_its_limit_which_itself_still_passes(limit, value, verdict):
    assert judge(limit, value).verdict is verdict


@pytest.mark.parametrize("value", [1.0, 1e6])
def test_a_doubtful_measurement_neither_passes_nor_fails(value):
    assert judge(LATENCY, value, conclusive=False).verdict is Verdict.INCONCLUSIVE


def test_a_check_says_what_was_found_and_what_was_allowed():
    check = judge(LATENCY, 180.26)
    expected = "round_trip_p95_ms is 180.3 ms (limit ≤ 150 ms)"
    assert check == Check("round_trip_p95_ms", 180.26, "ms", 150, Verdict.FAILED, expected)


def test_a_figure_just_beyond_its_limit_does_not_look_equal_to_it():
    assert judge(LATENCY, 150.04).detail == "round_trip_p95_ms is 150.04 ms (limit ≤ 150 ms)"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(150.0, "ms", "150 ms"), (0.0, "", "0"), (31.24159, "ms", "31.24 ms"), (123456.7, "", "123457")],
)
def test_a_quantity_has_its_unit_and_no_digits_that_mean_nothing(value, unit, words):
    assert quantity(value, unit) == words


def test_an_override_changes_the_named_limit_alone_and_the_last_one_counts():
    changed = override(LIMITS, ["snr_db=-3.5", "round_trip_p95_ms = 200", "snr_db=20"])
    assert [limit.default for limit in changed] == [200, 20, 300]
    assert [limit.name for limit in changed] == [limit.name for limit in LIMITS]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_can_be_a_limit(bound):
    assert override([LATENCY], [f"round_trip_p95_ms={bound!r}"])[0].default == bound


def test_a_mistyped_name_is_answered_with_the_closest_one():
    with pytest.raises(UsageError, match="no limit is named `round_trip_ms`") as caught:
        override(LIMITS, ["round_trip_ms=200"])
    assert caught.value.hint == "did you mean `round_trip_p95_ms`?"


def test_a_name_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(UsageError) as caught:
        override(LIMITS, ["x=1"])
    assert caught.value.hint == "the limits are `round_trip_p95_ms`, `snr_db`, `drift_ppm`"


@pytest.mark.parametrize("typed", ["snr_db=", "snr_db=loud", "snr_db=nan", "snr_db=inf", "snr_db=1=2"])
def test_what_is_no_finite_number_is_no_limit(typed):
    with pytest.raises(UsageError, match="which is no number"):
        override(LIMITS, [typed])


@pytest.mark.parametrize("typed", ["snr_db", "", "15"])
def test_what_has_no_equals_sign_is_no_limit(typed):
    with pytest.raises(UsageError, match="is not a limit"):
        override(LIMITS, [typed])


def _checks(*verdicts):
    return [Check("x", 0, "", 0, verdict, "") for verdict in verdicts]


def test_failed_beats_inconclusive_beats_passed():
    passed, failed, open_ = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
    assert overall(_checks(passed, open_, failed)) is failed
    assert overall(_checks(passed, open_)) is open_
    assert overall(_checks(passed, passed)) is passed
    assert worst([open_, failed]) is failed


def test_a_report_without_a_check_has_not_passed():
    assert overall([]) is Verdict.INCONCLUSIVE


def test_each_verdict_has_its_exit_code():
    assert {verdict: exit_code(verdict) for verdict in Verdict} == {
        Verdict.PASSED: ExitCode.OK,
        Verdict.FAILED: ExitCode.FAILED,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }


@pytest.mark.parametrize(
    ("sense", "bound"), [(Sense.AT_MOST, "≤ 3 dB"), (Sense.AT_LEAST, "≥ 3 dB"), (Sense.WITHIN, "± 3 dB")]
)
def test_a_check_shows_its_bound_as_its_limit_does(sense, bound):
    limit = Limit("level_change_db", "dB", 3, "", sense)
    assert judge(limit, 1).bound == str(limit) == bound
