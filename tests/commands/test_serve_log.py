"""What `serve` tells: lines for people, objects for scripts, and what it counts."""

import json

import pytest

from smallrtc_cli.bots.events import SessionEvent
from smallrtc_cli.bots.loader import BotFailedToLoad, NoSuchBot
from smallrtc_cli.bots.reload import Broken, Reloaded
from smallrtc_cli.commands.serve_log import ServeLog, lines_of, short

SESSION = "a3f9c0de-0000-0000-0000-000000000000"


def event(name, **detail):
    return SessionEvent(name, SESSION, detail)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def people(lines):
    return ServeLog(lines.append, as_json=False)


@pytest.fixture
def script(lines):
    return ServeLog(lines.append, as_json=True)


def words(lines):
    """Without the time, which is checked to be one."""
    assert all(line[2] == line[5] == ":" and line[:2].isdecimal() and line[8:10] == "  " for line in lines)
    return [line[10:] for line in lines]


@pytest.mark.parametrize(
    ("happened", "left", "line"),
    [
        (event("offered", pc_id="x"), 1, None),
        (event("bot-ended"), 1, None),
        (event("something new"), 1, None),
        (event("connected"), 1, "connected"),
        (event("connected", milliseconds=38.4), 1, "connected in 38 ms"),
        (
            event("connected", milliseconds=38.4, local="host", remote="srflx", protocol="udp"),
            1,
            "connected in 38 ms (host to srflx, udp)",
        ),
        (event("reconnected", milliseconds=7.0), 1, "back on a new path in 7 ms"),
        (event("path", mtu=1500, chunk=1404, limit="local", outcome="found"), 1, "MTU 1500, chunk 1404"),
        (event("path", mtu=1525, chunk=1432, limit="none", outcome="found"), 1, "MTU at least 1525, chunk 1432"),
        (
            event("path", mtu=1280, chunk=1184, limit="black-hole", outcome="found"),
            1,
            "MTU 1280 (longer packets disappear), chunk 1184",
        ),
        (
            event("path", mtu=1400, chunk=1304, limit="icmp", outcome="found"),
            1,
            "MTU 1400 (a router says so), chunk 1304",
        ),
        (event("path", mtu=None, chunk=456, limit="black-hole", outcome="below"), 1, "MTU below 576, chunk 456"),
        (
            event("path", mtu=None, chunk=1104, limit="none", outcome="unanswered"),
            1,
            "the path does not tell its MTU, chunk 1104",
        ),
        (event("stalled", why="nothing passes"), 1, "the data channel is stalled: nothing passes"),
        (event("flowing"), 1, "the data channel flows again"),
        (event("lost"), 1, "nothing is heard any more, waiting for it to come back"),
        (event("resumed"), 1, "heard again"),
        (event("said", line="hello"), 1, "bot says: hello"),
        (event("closed", reason="peer-left"), 0, "closed (peer-left)"),
        (event("closed", reason="peer-left"), 2, "closed (peer-left)   2 left"),
        (
            event("closed", reason="connect-timeout", diagnosis="nothing fits"),
            0,
            "closed (connect-timeout): nothing fits",
        ),
    ],
)
def test_an_event_is_a_line_or_nothing(people, lines, happened, left, line):
    assert lines_of(happened, left) == ([] if line is None else [line])
    people.session(happened, left)
    assert words(lines) == ([] if line is None else [f"a3f9  {line}"])


def test_a_bot_that_fails_shows_its_traceback_and_then_what_became_of_the_call(people, lines):
    people.session(event("bot-failed", error="KeyError: 'voice'", traceback="Traceback:\n  here\nKeyError: 'voice'"))
    assert words(lines) == [
        "a3f9  Traceback:",
        "a3f9    here",
        "a3f9  KeyError: 'voice'",
        "a3f9  bot failed: KeyError: 'voice'   the caller was told, the call is closed",
    ]


def test_a_script_gets_one_object_a_line_with_everything(script, lines):
    script.ready(url="http://localhost:1", bot="echo")
    script.session(event("said", line='Grüße "\n\x1b'))
    script.session(event("offered", pc_id="x"))
    script.line("only for people")
    objects = [json.loads(line) for line in lines]
    assert all(each.pop("at") > 1_700_000_000 for each in objects)
    assert objects == [
        {"event": "ready", "url": "http://localhost:1", "bot": "echo"},
        {"event": "said", "session": SESSION, "line": 'Grüße "\n\x1b'},
        {"event": "offered", "session": SESSION, "pc_id": "x"},
    ]
    assert not any("\n" in line or "\x1b" in line for line in lines)


def test_people_are_not_told_that_it_is_ready_in_json(people, lines):
    people.ready(url="http://localhost:1")
    assert lines == []


@pytest.mark.parametrize(
    ("sessions", "line"),
    [
        (0, "reload bot.py, sub/x.py   new calls get it"),
        (1, "reload bot.py, sub/x.py   new calls get it, 1 call keeps the old code"),
        (3, "reload bot.py, sub/x.py   new calls get it, 3 calls keep the old code"),
    ],
)
def test_an_edit_is_told_with_who_keeps_the_old_code(people, lines, sessions, line):
    people.reload(Reloaded(None, ("bot.py", "sub/x.py")), sessions)
    assert words(lines) == [line]


def test_a_broken_edit_shows_its_traceback_and_what_is_used_instead(people, lines):
    error = BotFailedToLoad("`bot.py` failed to load: NameError: x", "Traceback:\nNameError: x")
    people.reload(Broken(error, ("bot.py",)), 1)
    assert words(lines) == [
        "Traceback:",
        "NameError: x",
        "reload bot.py failed: `bot.py` failed to load: NameError: x   new calls get the version before",
    ]


def test_an_edit_that_has_no_traceback_and_no_name_is_told_too(people, lines):
    people.reload(Broken(NoSuchBot("`bot.py` has no function `bot`"), ()), 0)
    assert words(lines) == ["reload the bot failed: `bot.py` has no function `bot`   new calls get the version before"]


def test_a_script_is_told_of_edits(script, lines):
    script.reload(Reloaded(None, ("bot.py",)), 1)
    script.reload(Broken(BotFailedToLoad("a sentence", "Traceback"), ("bot.py",)), 1)
    script.reload(Broken(NoSuchBot("a sentence"), ()), 1)
    found = [{key: value for key, value in json.loads(line).items() if key != "at"} for line in lines]
    assert found == [
        {"event": "reloaded", "changed": ["bot.py"]},
        {"event": "reload-failed", "changed": ["bot.py"], "error": "a sentence", "traceback": "Traceback"},
        {"event": "reload-failed", "changed": [], "error": "a sentence", "traceback": ""},
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_ends_and_what_fails_is_counted(as_json):
    log = ServeLog(lambda _: None, as_json=as_json)
    assert (log.totals.closed, log.totals.bot_failures) == ({}, 0)
    for reason in ("peer-left", "bot-failed", "peer-left"):
        log.session(event("closed", reason=reason))
    log.session(event("bot-failed", error="", traceback=""))
    assert (log.totals.closed, log.totals.bot_failures) == ({"peer-left": 2, "bot-failed": 1}, 1)


def test_people_see_the_beginning_of_a_sessions_id():
    assert short(SESSION) == "a3f9"
