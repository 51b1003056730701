"""What was typed after `--`, as a bot reads it."""

import argparse

from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.bots.arguments import CliArguments


def test_options_are_attributes_as_pipecats_bots_read_them():
    given = CliArguments(["--voice", "alloy", "--top-k=5", "--fast", "-n", "3", "file.txt"])
    assert (given.voice, given.top_k, given.fast, given.n) == ("alloy", "5", True, "3")


def test_a_negative_number_is_a_value_and_not_an_option():
    assert CliArguments(["--gain", "-6.5"]).gain == "-6.5"


def test_a_bots_own_parser_reads_them_as_a_list():
    parser = argparse.ArgumentParser()
    parser.add_argument("--voice", default="echo")
    parser.add_argument("files", nargs="*")
    parsed = parser.parse_args(CliArguments(["--voice", "alloy", "a", "b"]))
    assert (parsed.voice, parsed.files) == ("alloy", ["a", "b"])


def test_what_was_typed_wins_over_the_commands_own_options():
    given = CliArguments(["--port", "1"], host="localhost", port=7860)
    assert (given.host, given.port) == ("localhost", "1")


def test_it_is_the_namespace_that_pipecat_promises():
    assert isinstance(CliArguments(), argparse.Namespace)
    assert not hasattr(CliArguments(), "voice")
    assert "voice" in CliArguments(["--voice", "x"])


@given(st.lists(st.text(max_size=8), max_size=8))
def test_the_list_is_what_was_typed_whatever_it_was(argv):
    given = CliArguments(argv)
    assert list(given) == argv
    assert len(given) == len(argv)
