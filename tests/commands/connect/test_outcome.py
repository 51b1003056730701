"""What the end of a call means for those who called."""

import pytest

from smallrtc_cli.commands.connect import outcome
from smallrtc_cli.errors import ExitCode, ServerUnreachable
from smallrtc_cli.protocol.session import CloseReason


def test_an_end_has_an_exit_code():
    assert outcome.HUNG_UP.exit_code is ExitCode.OK
    assert outcome.INTERRUPTED.exit_code is ExitCode.INTERRUPTED
    assert outcome.no_sound(1.0).exit_code is ExitCode.FAILED
    assert outcome.no_channel(1.0).exit_code is ExitCode.CANNOT_RUN


def ended(reason, refusal=None, *, is_script=False):
    return outcome.ended_by_the_other_side(reason, refusal, seconds=3.24, is_script=is_script)


@pytest.mark.parametrize("reason", [CloseReason.PEER_LEFT, CloseReason.PEER_CLOSED])
def test_a_bot_that_leaves_ends_a_conversation_and_fails_a_script(reason):
    assert ended(reason).error is None
    error = ended(reason, is_script=True).error
    assert (error.exit_code, "after 3.2 s" in str(error)) == (ExitCode.FAILED, True)


@pytest.mark.parametrize("is_script", [False, True])
def test_a_server_that_is_gone_is_an_error_with_what_dialing_again_came_to(is_script):
    error = ended(CloseReason.ICE_TIMEOUT, is_script=is_script).error
    assert error.exit_code == ExitCode.CANNOT_RUN
    assert "nothing comes from it any more" in str(error)
    refusal = ServerUnreachable("nothing listens at `localhost:1`: connection refused")
    error = ended(CloseReason.REDIAL_FAILED, refusal, is_script=is_script).error
    assert "connection refused" in str(error)
    assert error.hint == refusal.hint


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"error": "no voice", "fatal": True}, "the bot failed: no voice"),
        ({}, "without a word"),
        (None, "without a word"),
    ],
)
def test_a_bot_that_fails_is_quoted(data, words):
    error = outcome.bot_failed(data).error
    assert words in str(error)
    assert error.exit_code == ExitCode.FAILED


def test_what_was_not_heard_is_named():
    error = outcome.not_heard(({"a": 1},), '{"a": 1}', 10).error
    assert str(error) == 'no message with `{"a": 1}` came within 10 s'
    assert "and 1 more" in str(outcome.not_heard(({"a": 1}, {"b": 2}), "…", 10).error)
    assert outcome.no_sound(5).error.exit_code == ExitCode.FAILED
    assert outcome.no_channel(10).error.exit_code == ExitCode.CANNOT_RUN
