"""What can be known to be wrong before anybody is called."""

import pytest

from smallrtc_cli.cli.values import seconds
from smallrtc_cli.commands.connect import options as typed
from smallrtc_cli.commands.connect.options import ConnectOptions
from smallrtc_cli.errors import UsageError

URL = "localhost:7860"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"loop": True}, "`--loop` needs `--play-from`"),
        ({"exit_after_play": True}, "`--exit-after-play` needs `--play-from`"),
        ({"loop": True, "exit_after_play": True, "play_from": "a.wav"}, "`--loop` and `--exit-after-play` contradict"),
        ({"loop": True, "play_from": "-"}, "`--loop` and `--play-from -` contradict each other"),
        ({"input_device": "usb", "play_from": "a.wav"}, "`--input-device` and `--play-from` contradict each other"),
        ({"input_device": "usb", "no_input": True}, "`--input-device` and `--no-input` contradict each other"),
        ({"output_device": "usb", "no_output": True}, "`--output-device` and `--no-output` contradict each other"),
        ({"no_input": True, "play_from": "a.wav"}, "`--play-from` and `--no-input` contradict each other"),
        ({"json_lines": True, "record_to": "-"}, "`--json-lines` and `--record-to -` contradict each other"),
    ],
)
def test_options_that_contradict_each_other_are_refused(wrong, sentence):
    with pytest.raises(UsageError) as caught:
        typed.check(ConnectOptions(url=URL, **wrong))
    assert sentence in str(caught.value)
    assert caught.value.hint


def test_what_goes_together_is_taken():
    typed.check(ConnectOptions(url=URL))
    typed.check(ConnectOptions(url=URL, play_from="-", exit_after_play=True, record_to="-", output_device="usb"))
    typed.check(ConnectOptions(url=URL, play_from="a.wav", loop=True, json_lines=True, record_to="a.wav"))


class Stream:
    def __init__(self, is_terminal):
        self.isatty = lambda: is_terminal


TERMINAL, PIPE = Stream(True), Stream(False)


@pytest.mark.parametrize(
    ("wrong", "stdin", "stdout", "words"),
    [
        ({"play_from": "-"}, TERMINAL, PIPE, "standard input, and that is a terminal"),
        ({"play_from": "-"}, None, PIPE, "standard input, and that is closed"),
        ({"record_to": "-"}, PIPE, TERMINAL, "standard output, and that is a terminal"),
    ],
)
def test_a_pipe_that_is_none_is_refused(wrong, stdin, stdout, words):
    with pytest.raises(UsageError, match=words):
        typed.check_pipes(ConnectOptions(url=URL, **wrong), stdin, stdout)


def test_terminals_are_in_order_where_nothing_is_piped():
    typed.check_pipes(ConnectOptions(url=URL, play_from="a.wav", record_to="b.wav"), TERMINAL, TERMINAL)
    typed.check_pipes(ConnectOptions(url=URL), None, PIPE)
    typed.check_pipes(ConnectOptions(url=URL, play_from="-", record_to="-"), PIPE, PIPE)


def test_a_body_is_json_or_a_file_of_it(tmp_path):
    file = tmp_path / "body.json"
    file.write_text('{"voice": "amy"}')
    assert typed.body(None) is None
    assert typed.body("null") is None
    assert typed.body("[1]") == [1]
    assert typed.body(f"@{file}") == {"voice": "amy"}


@pytest.mark.parametrize("text", ["{", "hello", "@/does/not/exist", "NaN", '"\udcff"', "@\udcff"])
def test_a_body_that_cannot_be_read_is_a_usage_error(text):
    with pytest.raises(UsageError):
        typed.body(text)


def test_messages_and_expectations_are_objects():
    assert typed.objects(['{"a": 1}', "{}"], "--message") == [{"a": 1}, {}]
    for text in ("[1]", '"a"', "nonsense"):
        with pytest.raises(UsageError) as caught:
            typed.objects([text], "--expect")
        assert "--expect" in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", "86401", ""])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(UsageError):
        seconds("--duration")(text)


def test_a_time_may_have_a_fraction():
    assert seconds("--duration")("0.5") == 0.5
    assert seconds("--duration")(10.0) == 10.0
