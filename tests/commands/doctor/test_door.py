import asyncio
import contextlib
import errno
import socket
import ssl

import pytest
from calls import until
from ice_services import LOOPBACK, free_port, self_made_certificate
from yarl import URL

from smallrtc_cli.commands.doctor import door
from smallrtc_cli.commands.doctor.bounds import Tried
from smallrtc_cli.commands.doctor.door import Door, judge_name, judge_status, judge_tcp, judge_tls
from smallrtc_cli.errors import NoResponse, OfferRefused, UnusableAnswer, WrongScheme
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.web.urls import parse_url

WHERE = "bot.example:7860"
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "unknown")


def failed(error):
    return Tried(None, error, 0.5)


def test_a_name_has_addresses_and_an_address_needs_none():
    assert "192.0.2.1, 2001:db8::1" in judge_name("bot.example", Tried(("192.0.2.1", "2001:db8::1"), None, 0.1)).detail
    assert judge_name("192.0.2.1", Tried(("192.0.2.1",), None, 0.0)).detail == "`192.0.2.1` is an address"


@pytest.mark.parametrize(("error", "words"), [(UNKNOWN, "cannot be found"), (TimeoutError(), "no answer in 2 s")])
def test_a_name_without_an_address_fails(error, words):
    stage = judge_name("bot.example", failed(error))
    assert (stage.verdict, stage.seconds) == (Mark.FAIL, 0.5)
    assert "`bot.example`" in stage.detail
    assert words in stage.detail
    assert stage.cure


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), f"nothing listens at `{WHERE}`"),
        (TimeoutError(), "in 2 s"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
    ],
)
def test_a_port_that_takes_no_connection_fails(error, words):
    stage = judge_tcp(WHERE, failed(error))
    assert stage.verdict is Mark.FAIL
    assert WHERE in stage.detail
    assert words in stage.detail
    assert stage.cure


def test_a_certificate_that_was_not_looked_at_is_a_warning():
    url = URL("https://bot.example:7860")
    assert judge_tls(url, Tried("TLSv1.3", None, 0.1), verify=True).verdict is Mark.OK
    stage = judge_tls(url, Tried("TLSv1.3", None, 0.1), verify=False)
    assert stage.verdict is Mark.WARN
    assert "--insecure" in stage.detail


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        ({"status": "ready", "transports": ["webrtc"], "bot": "bot.py:bot", "version": "0.1.0"}, Mark.OK, "bot.py:bot"),
        (
            {"status": "ready", "bot": "b", "version": "1", "error": "Traceback\nNameError: no\x1b x"},
            Mark.WARN,
            "NameError: no? x",
        ),
        ({"status": "ready", "transports": ["webrtc", "daily"]}, Mark.OK, "Pipecat's runner"),
        ({"status": "ready", "transports": ["daily"]}, Mark.WARN, "no WebRTC transport"),
        ({"hello": 1}, Mark.OK, "has no `/status`"),
        ([1], Mark.OK, "has no `/status`"),
        (None, Mark.OK, "has no `/status`"),
    ],
)
def test_a_server_tells_what_it_is_and_need_not(status, verdict, words):
    stage = judge_status(WHERE, Tried(status, None, 0.1))
    assert stage.verdict is verdict
    assert f"`{WHERE}`" in stage.detail
    assert words in stage.detail


@pytest.mark.parametrize(
    ("error", "verdict", "words"),
    [
        (OfferRefused("x", status=404), Mark.OK, "has no `/status`"),
        (UnusableAnswer("no JSON"), Mark.OK, "has no `/status`"),
        (OfferRefused("the token is wrong", status=401, hint="give it"), Mark.FAIL, "the token is wrong"),
        (OfferRefused("oops", status=500), Mark.WARN, "oops"),
        (WrongScheme("speaks https, not http", hint="use `https://h`"), Mark.FAIL, "speaks https"),
        (NoResponse("no answer within 2 s"), Mark.FAIL, "no answer"),
        (TimeoutError(), Mark.FAIL, "did not answer within 2 s"),
    ],
)
def test_a_server_that_says_no_is_told_from_one_that_has_nothing_to_say(error, verdict, words):
    stage = judge_status(WHERE, failed(error))
    assert stage.verdict is verdict
    assert words in stage.detail


# Against servers of this machine


@contextlib.asynccontextmanager
async def listening(handle, tls=None):
    """A server that has closed all its connections when it ends."""
    handling = set()

    async def handled(reader, writer):
        handling.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(handling.discard)
        with contextlib.suppress(OSError):
            await handle(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handled, LOOPBACK, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
    await until(lambda: not handling)


async def told_by(url, **options):
    stages = []
    missing = await door.examine(Door(parse_url(url), {}, **options), stages.append)
    return missing, {stage.name: stage for stage in stages}


async def plain(reader, writer):
    await reader.readline()
    body = b'{"status": "ready", "transports": ["webrtc"]}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def test_a_server_is_reached_step_by_step():
    async with listening(plain) as port:
        missing, stages = await told_by(f"http://localhost:{port}")
    assert missing is None
    assert list(stages) == ["name", "tcp", "status"]
    assert {stage.verdict for stage in stages.values()} == {Mark.OK}


async def test_after_a_closed_port_the_rest_is_skipped():
    missing, stages = await told_by(f"https://{LOOPBACK}:{free_port()}")
    assert missing == "TCP"
    assert [stage.verdict for stage in stages.values()] == [Mark.OK, Mark.FAIL, Mark.SKIPPED, Mark.SKIPPED]
    assert stages["tls"].detail == "TLS skipped: needs TCP"


async def test_a_self_made_certificate_fails_and_insecure_lets_it_pass(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_made_certificate(tmp_path))
    async with listening(plain, context) as port:
        missing, stages = await told_by(f"https://{LOOPBACK}:{port}")
        assert missing == "TLS"
        assert stages["tls"].verdict is Mark.FAIL
        assert "certificate" in stages["tls"].detail
        assert "--insecure" in stages["tls"].cure
        missing, stages = await told_by(f"https://{LOOPBACK}:{port}", verify=False)
        assert (missing, stages["tls"].verdict, stages["status"].verdict) == (None, Mark.WARN, Mark.OK)


async def test_a_server_that_speaks_no_tls_is_told_as_that():
    async with listening(plain) as port:
        missing, stages = await told_by(f"https://{LOOPBACK}:{port}")
    assert missing == "TLS"
    assert "does not speak TLS" in stages["tls"].detail
    assert f"http://{LOOPBACK}:{port}" in stages["tls"].cure


async def test_a_server_that_takes_connections_and_says_nothing_is_given_up():
    async def silent(reader, writer):
        await reader.read()

    async with listening(silent) as port:
        missing, stages = await told_by(f"http://{LOOPBACK}:{port}")
    assert missing == "HTTP"
    assert stages["status"].verdict is Mark.FAIL
    assert "did not answer within 2 s" in stages["status"].detail


async def test_an_unknown_host_is_the_first_thing_that_fails(monkeypatch):
    def unknown(*args, **kwargs):
        raise UNKNOWN

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    missing, stages = await told_by("http://nobody.invalid")
    assert missing == "an address"
    assert [stage.verdict for stage in stages.values()] == [Mark.FAIL, Mark.SKIPPED, Mark.SKIPPED]
