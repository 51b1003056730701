"""Each way a request can fail, made by a real server or socket: what it is called, and what its cure is."""

import asyncio
import base64
import socket
import ssl

import pytest
from aiohttp import connector
from scripted import Script, certified, reply
from yarl import URL

from smallrtc_cli.errors import (
    CouldNotConnect,
    ExitCode,
    HostNotFound,
    NoResponse,
    NoSecureConnection,
    OfferRefused,
    ServerUnreachable,
    UsageError,
    WrongScheme,
)
from smallrtc_cli.web.link import Link

OK = reply("200 OK", "{}")


async def asked(url: str, **options):
    link = Link(options.pop("headers", None), **options)
    try:
        return await link.request("POST", URL(url), {"a": 1})
    finally:
        await link.close()


async def failure(url: str, kind: type[CouldNotConnect], **options) -> CouldNotConnect:
    with pytest.raises(kind) as raised:
        await asked(url, **options)
    assert raised.value.exit_code is ExitCode.CANNOT_RUN
    return raised.value


# Headers and credentials


@pytest.mark.parametrize(
    "headers",
    [{"A": "b\r\nC: d"}, {"A": "\x1b[1m"}, {"A": "\udc80"}, {"A b": "c"}, {"A\n": "c"}, {"Ü": "c"}, {"": "c"}],
)
def test_a_header_that_cannot_be_sent_is_a_usage_error_that_hides_its_value(headers):
    with pytest.raises(UsageError, match="is not a header") as raised:
        Link(headers)
    assert not any(value and value in str(raised.value) for value in headers.values() if value != "c")


async def test_a_request_need_not_have_a_body():
    async with Script(OK) as script:
        link = Link()
        assert (await link.request("GET", URL(script.url))).body == b"{}"
        await link.close()
    head, body = script.requests[0]
    assert head.startswith(b"GET ")
    assert not body


async def test_a_user_in_the_url_is_sent_as_basic_authorization():
    async with Script(OK) as script:
        await asked(script.url.replace("//", "//me:pass@"))
    assert b"Authorization: Basic " + base64.b64encode(b"me:pass") in script.requests[0][0]


async def test_a_user_in_the_url_and_an_authorization_header_are_one_too_many():
    async with Script(OK) as script:
        with pytest.raises(UsageError, match="has a user in it, and there is an `Authorization` header too"):
            await asked(script.url.replace("//", "//me:pass@"), headers={"authorization": "Bearer x"})
    assert not script.requests


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with Script(OK) as script:
        assert (await asked(script.url)).status == 200


# No connection


async def test_nobody_there_is_named_with_host_and_port():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    error = await failure(f"http://127.0.0.1:{port}", ServerUnreachable)
    assert str(error) == f"nothing listens at `127.0.0.1:{port}`: connection refused"
    assert error.hint == "is the server running, and is the URL right?"


async def test_a_name_with_two_addresses_that_both_refuse_is_refused_too(monkeypatch):
    async def both(host, port, **options):
        stream = socket.SOCK_STREAM
        return [(socket.AF_INET, stream, 6, "", (each, port)) for each in ("127.0.0.1", "127.0.0.2")]

    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    error = await failure(f"http://twice.invalid:{port}", ServerUnreachable)
    assert str(error) == f"nothing listens at `twice.invalid:{port}`: connection refused"


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "nowhere.invalid"])
async def test_a_name_that_is_not_found_is_named(host, monkeypatch):
    async def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await failure(f"http://{host}:1", HostNotFound)
    assert f"the host `{host}` cannot be found" in str(error)
    assert error.hint == "is the name right, and is this machine online?"


async def test_a_silent_server_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await failure(f"http://127.0.0.1:{silent.getsockname()[1]}", NoResponse, timeout=1)
    assert "did not answer within 1 s" in str(error)


async def test_a_connection_that_does_not_come_up_is_told_apart_from_a_silent_server(monkeypatch):
    async def for_ever(*args):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", for_ever)
    error = await failure("http://127.0.0.1:9", NoResponse, timeout=0.05)
    assert str(error) == "no connection to `127.0.0.1:9` within 0.05 s"
    assert "firewall" in (error.hint or "")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\nconnection: close\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{", "does not answer in HTTP"),
    ],
)
async def test_what_is_no_http_is_unreachable(answer, sentence):
    async with Script(answer) as script:
        assert sentence in str(await failure(script.url, ServerUnreachable))


# TLS


async def test_http_where_the_server_speaks_https_names_the_right_url(tmp_path):
    context, _ = certified(tmp_path)
    async with Script(OK, tls=context) as script:
        error = await failure(f"http://localhost:{script.port}/start?token=s3cret", WrongScheme)
    assert str(error) == f"`localhost:{script.port}` speaks https, not http"
    assert error.hint == f"use `https://localhost:{script.port}`"


async def test_https_where_the_server_speaks_http_names_the_right_url():
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        error = await failure(f"https://127.0.0.1:{port}", WrongScheme)
    assert str(error) == f"no secure connection to `127.0.0.1:{port}`: it does not speak TLS"
    assert error.hint == f"use `http://127.0.0.1:{port}`"


async def test_a_server_that_hangs_up_in_the_handshake_is_told_from_one_that_is_not_there():
    async def hang_up(reader, writer):
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        error = await failure(f"https://127.0.0.1:{port}", NoSecureConnection)
    assert str(error) == f"no secure connection to `127.0.0.1:{port}`: the server closed it in the handshake"
    assert error.hint == "does the server speak TLS 1.2 or newer?"


async def test_a_self_made_certificate_is_refused_with_the_way_to_trust_it(tmp_path):
    context, _ = certified(tmp_path)
    async with Script(OK, tls=context) as script:
        error = await failure(f"https://localhost:{script.port}", NoSecureConnection)
    assert str(error) == f"no secure connection to `localhost:{script.port}`: self-signed certificate"
    assert (error.hint or "").startswith("`--insecure` trusts it")


async def test_without_verification_any_certificate_will_do(tmp_path):
    context, _ = certified(tmp_path, "another.example", (2020, 2021))
    async with Script(OK, tls=context) as script:
        assert (await asked(script.url, verify=False)).status == 200


@pytest.mark.parametrize(
    ("name", "years", "sentence", "hint"),
    [
        ("another.example", (2020, 2120), "hostname mismatch", "use a name that the certificate is for"),
        ("localhost", (2020, 2021), "certificate has expired", "the server needs a new one"),
        ("localhost", (2110, 2120), "certificate is not yet valid", "is the clock of this machine right?"),
    ],
)
async def test_a_trusted_certificate_that_is_wrong_says_in_what(tmp_path, monkeypatch, name, years, sentence, hint):
    context, file = certified(tmp_path, name, years)
    monkeypatch.setattr(connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=file))
    async with Script(OK, tls=context) as script:
        error = await failure(f"https://localhost:{script.port}", NoSecureConnection)
    assert sentence in str(error)
    assert hint in (error.hint or "")


# What a server says no with


@pytest.mark.parametrize(
    ("status", "body", "more", "hint"),
    [
        ("401 X", '{"detail":"no","hint":"theirs"}', "", "`--token`"),
        ("403 X", '{"detail":"no"}', "", "origin"),
        ("403 X", '{"detail":"no","hint":"theirs"}', "", "theirs"),
        ("404 X", "", "", "is this the URL of a SmallWebRTC server?"),
        ("429 X", "", "Retry-After: 7\r\n", "try again in 7 s"),
        ("503 X", '{"detail":"no","hint":"theirs"}', "Retry-After: 7\r\n", "theirs; try again in 7 s"),
        ("503 X", "", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", "log"),
        ("500 X", "", "", "log"),
    ],
)
async def test_a_refusal_has_a_cure(status, body, more, hint):
    async with Script(reply(status, body, more=more)) as script:
        error = await failure(script.url, OfferRefused)
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("<html><head><TITLE>\n502 Bad&#32;Gateway</TITLE>", "status 502: 502 Bad Gateway"),
        ("<title>\x1b[31m</title>", "status 502: ?[31m"),
        ("<title></title>", "status 502: oh"),
        ("<p>" + "<title>" * 100_000, "status 502: oh"),
    ],
)
async def test_of_a_page_its_title_is_told(page, sentence):
    async with Script(reply("502 Oh", page, "text/html")) as script:
        assert str(await failure(script.url, OfferRefused)).endswith(sentence)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
async def test_a_redirect_that_is_not_followed_says_where_it_leads(status):
    moved = reply(status, "", more="Location: https://bot.example/api/offer?token=s3cret\r\n")
    async with Script(moved) as script:
        error = await failure(script.url, OfferRefused)
    assert str(error) == f"`127.0.0.1:{script.port}` redirects to `https://bot.example`"
    assert error.hint == "use that URL if you trust it"


async def test_a_redirect_to_something_else_than_http_is_not_followed():
    async with Script(reply("307 X", "", more="Location: ftp://127.0.0.1/\r\n")) as script:
        assert "redirects to `ftp://127.0.0.1`" in str(await failure(script.url, OfferRefused))
