import json
import math
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.report.checks import Limit, Verdict, judge
from smallrtc_cli.report.document import Report, document, encode, plain

LATENCY = Limit("round_trip_p95_ms", "ms", 150, "there and back")


def _report(**changes):
    values = {
        "command": "loopback",
        "verdict": Verdict.PASSED,
        "headline": "the audio path is healthy",
        "seconds": 3.8,
        "checks": (judge(LATENCY, 31.0),),
        "measurements": {"audio": {"round_trip_ms": [30.5, 31.0]}},
        "environment": {"python": "3.11"},
    }
    return Report(**values | changes)


def _strict(text):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_the_document_holds_what_was_found_in_a_stable_order():
    found = _strict(encode(_report(faults=("it clicked",))))
    assert list(found) == [
        "version",
        "command",
        "verdict",
        "headline",
        "seconds",
        "checks",
        "measurements",
        "environment",
        "faults",
    ]
    assert found["version"] == 1
    assert found["checks"] == [
        {"name": "round_trip_p95_ms", "value": 31.0, "unit": "ms", "limit": 150, "verdict": "passed"}
    ]
    assert found["measurements"] == {"audio": {"round_trip_ms": [30.5, 31.0]}}
    assert found["faults"] == ["it clicked"]


def test_repeats_are_runs_within_one_document():
    run = _report(verdict=Verdict.FAILED, headline="gaps", faults=("a gap",))
    found = document(_report(runs=(run, _report())))
    assert [each["verdict"] for each in found["runs"]] == ["failed", "passed"]
    assert found["runs"][0]["faults"] == ["a gap"]
    assert "version" not in found["runs"][0]


def test_numbers_that_json_does_not_know_become_null():
    report = _report(seconds=math.nan, checks=(judge(LATENCY, math.inf),), measurements={"a": [-math.inf]})
    found = _strict(encode(report))
    assert found["seconds"] is None
    assert found["checks"][0]["value"] is None
    assert found["measurements"] == {"a": [None]}


class _Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.int16(-3), -3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (True, True),
        (Verdict.FAILED, "failed"),
        (_Level.HIGH, 3),
        (Path("a/b"), "a/b"),
        ({1: (2, None)}, {"1": [2, None]}),
    ],
)
def test_a_measurement_becomes_jsons_own_type(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [b"bytes", object(), {1, 2}])
def test_what_json_cannot_hold_is_refused_by_type(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        plain(value)


def test_text_of_any_language_survives_an_ascii_terminal():
    text = encode(_report(headline="größer ≤ 🎧"))
    assert text.isascii()
    assert json.loads(text)["headline"] == "größer ≤ 🎧"


_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _values, max_size=4))
def test_any_measurements_give_a_strictly_valid_document(measurements):
    _strict(encode(_report(measurements=measurements)))
