"""What counts as a message that contains an object."""

import pytest

from smallrtc_cli.protocol.expect import Expectations, contains


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ({"type": "bot-ready", "id": "1"}, {"type": "bot-ready"}),
        ({"data": {"text": "hello", "final": True}}, {"data": {"final": True}}),
        ({"a": [1, {"b": 2, "c": 3}]}, {"a": [1, {"b": 2}]}),
        ({"a": None}, {"a": None}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {}),
    ],
)
def test_an_object_is_contained_at_any_depth(whole, part):
    assert contains(whole, part)


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ({"type": "bot-ready"}, {"type": "bot-left"}),
        ({"type": "bot-ready"}, {"id": None}),
        ({"a": [1, 2]}, {"a": [1]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": 1}, {"a": True}),
        ({"a": True}, {"a": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"a": {"b": 1}}, {"b": 1}),
        ("text", {"a": 1}),
    ],
)
def test_what_differs_is_not_contained(whole, part):
    assert not contains(whole, part)


def test_expectations_are_met_in_any_order_and_once():
    waiting = Expectations([{"a": 1}, {"b": 2}, {"a": 1, "b": 2}])
    assert waiting.heard({"b": 2}) == [{"b": 2}]
    assert waiting.unmet == ({"a": 1}, {"a": 1, "b": 2})
    assert waiting.heard({"b": 2}) == []
    assert waiting.heard({"a": 1, "b": 2}) == [{"a": 1}, {"a": 1, "b": 2}]
    assert waiting.unmet == ()


def test_a_number_does_not_meet_what_waits_for_a_truth():
    waiting = Expectations([{"a": 1}, {"a": True}])
    assert waiting.heard({"a": 1}) == [{"a": 1}]
    assert waiting.unmet == ({"a": True},)
