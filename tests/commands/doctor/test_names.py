import socket
import threading

import pytest

from smallrtc_cli.commands.doctor import names
from smallrtc_cli.commands.doctor.bounds import Tried
from smallrtc_cli.commands.doctor.names import LOCALHOST, judge
from smallrtc_cli.report.stages import Mark

HERE = Tried(("::1", "127.0.0.1"), None, 0.001)
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
BROKEN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def stage(found, localhost=HERE):
    return judge({LOCALHOST: localhost, "bot.example": found})


def test_a_resolver_that_answers_is_fine_also_where_the_name_is_unknown():
    found = stage(Tried(("203.0.113.9",), None, 0.25))
    assert (found.verdict, found.seconds) == (Mark.OK, 0.25)
    assert found.detail == "DNS answers: `bot.example` 203.0.113.9"
    assert stage(Tried(None, UNKNOWN, 0.1)).verdict is Mark.OK


@pytest.mark.parametrize("error", [TimeoutError(), BROKEN])
def test_silence_fails(error):
    found = stage(Tried(None, error, 2.0))
    assert found.verdict is Mark.FAIL
    assert "`bot.example`" in found.detail
    assert "/etc/resolv.conf" in found.cure


@pytest.mark.parametrize("localhost", [Tried(("192.0.2.7",), None, 0.1), Tried(None, UNKNOWN, 0.1)])
def test_a_localhost_that_is_not_this_machine_fails(localhost):
    found = stage(Tried(("203.0.113.9",), None, 0.1), localhost=localhost)
    assert found.verdict is Mark.FAIL
    assert found.detail.startswith("`localhost` ")
    assert "127.0.0.1 localhost" in found.cure


@pytest.fixture
def asked(monkeypatch):
    """A resolver that knows this machine alone, and what it was asked."""
    hosts = []

    def answer(host, *args, **kwargs):
        hosts.append(host)
        if host != LOCALHOST:
            raise UNKNOWN
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return hosts


async def test_needed_names_are_looked_up_and_addresses_are_not(asked):
    await names.examine(["bot.example", "192.0.2.1", "::1", "localhost", "a.localhost.", "bot.example"], print)
    assert sorted(asked) == ["bot.example", LOCALHOST]


async def test_where_no_name_is_needed_no_question_leaves_the_machine(asked):
    told = []
    await names.examine(["127.0.0.1", "localhost"], told.append)
    assert asked == [LOCALHOST]
    assert [(each.verdict, each.detail) for each in told] == [
        (Mark.OK, "`localhost` is this machine, and no other name is needed")
    ]


async def test_a_resolver_that_hangs_is_given_up_and_named(monkeypatch):
    let_go = threading.Event()

    def hang(host, *args, **kwargs):
        if host != LOCALHOST:
            let_go.wait(30)
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    told = []
    await names.examine(["bot.example"], told.append)
    let_go.set()
    assert [(each.verdict, each.detail) for each in told] == [(Mark.FAIL, "DNS: no answer in 2 s to `bot.example`")]
