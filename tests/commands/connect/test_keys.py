"""What keys do to a call."""

import pytest

from smallrtc_cli.commands.connect.keys import Keys, typed
from smallrtc_cli.protocol.messages import MalformedJSON, UnencodableMessage


class Controls:
    """Writes down what was asked for."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        return lambda *arguments: self.asked.append((name, *arguments))


@pytest.fixture
def controls():
    return Controls()


@pytest.fixture
def keys(controls):
    return Keys(controls, lambda: "id")


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("m", "toggle_mute"),
        ("v", "toggle_camera"),
        (" ", "toggle_talking"),
        ("s", "toggle_statistics"),
        ("r", "reconnect"),
        ("?", "toggle_keys"),
        ("q", "hang_up"),
    ],
)
def test_each_key_has_its_meaning(keys, controls, key, asked):
    keys.press(key)
    assert controls.asked == [(asked,)]


def test_keys_without_a_meaning_do_nothing(keys, controls):
    for key in ("x", "enter", "escape", "left", "M"):
        keys.press(key)
    assert controls.asked == []


def test_a_typed_line_is_sent_and_keys_are_commands_again(keys, controls):
    for key in ["t", *"quit mqv", "enter", "m"]:
        keys.press(key)
    data = {"content": "quit mqv", "options": {"run_immediately": True, "audio_response": True}}
    message = {"label": "rtvi-ai", "type": "send-text", "id": "id", "data": data}
    assert controls.asked == [("send", message), ("toggle_mute",)]
    assert keys.typing is None


def test_what_is_typed_is_seen_and_can_be_given_up(keys, controls):
    for key in ["t", "h", "i", "left"]:
        keys.press(key)
    assert keys.typing == ("hi", 1)
    keys.press("escape")
    assert (keys.typing, controls.asked) == (None, [])


def test_json_is_sent_as_it_is_and_what_is_none_is_told(keys, controls):
    for key in ["t", *'/json {"a": 1}', "enter", "t", *"/json {", "enter"]:
        keys.press(key)
    assert controls.asked[0] == ("send", {"a": 1})
    assert controls.asked[1][0] == "tell"
    assert "not sent" in controls.asked[1][1]


def test_typed_lines_that_are_no_objects_raise():
    with pytest.raises(UnencodableMessage):
        typed("/json [1]", "id")
    with pytest.raises(MalformedJSON):
        typed("/json", "id")
