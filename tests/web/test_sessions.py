"""Sessions by value: who may offer under which id, and until when."""

import pytest

from smallrtc_cli.web.sessions import Sessions, TooManySessions, UnknownSession


@pytest.fixture
def sessions():
    return Sessions(expire_after=60, most_waiting=2)


def test_an_offer_gets_the_body_of_its_session(sessions):
    sessions.begin("a", {"room": 1}, now=0)
    sessions.begin("b", {"room": 2}, now=0)
    assert sessions.offered("a", now=1) == {"room": 1}
    assert sessions.offered("b", now=1) == {"room": 2}


def test_an_id_that_was_not_begun_here_is_unknown(sessions):
    for ask in (sessions.offered, sessions.check):
        with pytest.raises(UnknownSession) as raised:
            ask("guessed", now=0)
        assert (raised.value.status, raised.value.hint) == (404, "begin one with `POST /start`")


def test_a_session_that_nobody_offers_to_expires(sessions):
    sessions.begin("a", None, now=0)
    sessions.check("a", now=59.9)
    with pytest.raises(UnknownSession):
        sessions.check("a", now=60)
    assert len(sessions) == 0


def test_a_refused_offer_leaves_the_session_waiting_anew(sessions):
    sessions.begin("a", "body", now=0)
    sessions.offered("a", now=50)
    sessions.answered("a", now=51)
    assert sessions.offered("a", now=110) == "body"


def test_a_session_does_not_expire_while_its_offer_is_being_answered(sessions):
    sessions.begin("a", None, now=0)
    sessions.offered("a", now=59)
    sessions.check("a", now=200)


def call(sessions, session_id, now):
    sessions.offered(session_id, now)
    sessions.entered(session_id)
    sessions.answered(session_id, now)


def test_a_session_lives_while_one_of_its_bots_does(sessions):
    sessions.begin("a", None, now=0)
    call(sessions, "a", now=1)
    call(sessions, "a", now=2)
    sessions.left("a")
    sessions.check("a", now=10_000)
    sessions.left("a")
    with pytest.raises(UnknownSession):
        sessions.check("a", now=10_000)


def test_a_bot_that_ends_while_the_next_offer_is_answered_does_not_end_the_session(sessions):
    sessions.begin("a", "body", now=0)
    call(sessions, "a", now=1)
    sessions.offered("a", now=2)
    sessions.left("a")
    sessions.entered("a")
    sessions.answered("a", now=3)
    assert sessions.offered("a", now=1000) == "body"


def test_a_used_session_ends_when_the_next_offer_fails_after_its_last_bot(sessions):
    sessions.begin("a", None, now=0)
    call(sessions, "a", now=1)
    sessions.offered("a", now=2)
    sessions.left("a")
    sessions.answered("a", now=3)
    assert "a" not in sessions


def test_a_bot_that_ends_at_once_ends_the_session_with_its_answer(sessions):
    sessions.begin("a", None, now=0)
    sessions.offered("a", now=1)
    sessions.entered("a")
    sessions.left("a")
    assert "a" in sessions
    sessions.answered("a", now=2)
    assert "a" not in sessions


def test_a_bot_without_start_has_a_session_for_as_long_as_it_runs(sessions):
    sessions.entered("own")
    assert sessions.offered("own", now=500) == {}
    sessions.answered("own", now=501)
    sessions.left("own")
    assert "own" not in sessions


def test_what_waits_is_bounded_and_the_refusal_says_until_when(sessions):
    sessions.begin("a", None, now=0)
    sessions.begin("b", None, now=10)
    with pytest.raises(TooManySessions, match="2 sessions wait") as raised:
        sessions.begin("c", None, now=20.5)
    assert (raised.value.status, raised.value.retry_after) == (503, 40)
    sessions.begin("c", None, now=60)


def test_live_sessions_do_not_count_as_waiting(sessions):
    for each in "abcd":
        sessions.begin(each, None, now=0)
        call(sessions, each, now=0)
    assert len(sessions) == 4
