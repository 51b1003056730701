"""Known hosts and the same origin, and nobody else."""

import pytest

from smallrtc_cli.errors import UsageError
from smallrtc_cli.web.guard import Forbidden, Guard, Unauthorized, parse_origins


@pytest.mark.parametrize(
    ("bound", "host"),
    [
        ("127.0.0.1", "127.0.0.1:7860"),
        ("127.0.0.1", "localhost:7860"),
        ("127.0.0.1", "LOCALHOST"),
        ("127.0.0.1", "bot.localhost:1"),
        ("127.0.0.1", "127.9.9.9"),
        ("localhost", "[::1]:7860"),
        ("192.168.1.20", "192.168.1.20:7860"),
        ("192.168.1.20", "localhost"),
        ("Mylaptop.local", "mylaptop.local:7860"),
        ("0.0.0.0", "192.168.1.20:7860"),
        ("::", "[fe80::1]"),
        ("2001:db8:0:0:0:0:0:1", "[2001:db8::1]:7860"),
    ],
)
def test_names_of_this_server_are_known(bound, host):
    Guard(bound).check(host, None)
    Guard(bound).check(host, f"http://{host}")


@pytest.mark.parametrize(
    ("bound", "host"),
    [
        ("127.0.0.1", None),
        ("127.0.0.1", ""),
        ("127.0.0.1", "rebound.example:7860"),
        ("127.0.0.1", "localhost.example"),
        ("127.0.0.1", "127.0.0.1.example"),
        ("127.0.0.1", "192.168.1.20"),
        ("127.0.0.1", "[::1"),
        ("0.0.0.0", "rebound.example"),
        ("192.168.1.20", "192.168.1.21"),
    ],
)
def test_other_names_are_refused(bound, host):
    with pytest.raises(Forbidden, match=r"is not a name of this server|names no host"):
        Guard(bound).check(host, None)


@pytest.mark.parametrize(
    ("bound", "hint"),
    [
        ("localhost", "use `localhost`"),
        ("127.0.0.1", "use `localhost` or `127.0.0.1`"),
        ("0.0.0.0", "use `localhost` or an address of this machine"),
    ],
)
def test_whoever_has_another_name_is_told_those_that_are_right(bound, hint):
    with pytest.raises(Forbidden) as raised:
        Guard(bound).check("rebound.example", None)
    assert raised.value.hint == hint


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:7861",
        "http://localhost",
        "http://127.0.0.1:7860",
        "null",
        "",
        "localhost:7860",
        "file://",
        "http://localhost:7860.evil.example",
        "http://[::1",
        "http://localhost:x",
        "chrome-extension://localhost:7860",
    ],
)
def test_pages_from_elsewhere_are_refused(origin):
    with pytest.raises(Forbidden, match="may not use this server"):
        Guard("127.0.0.1").check("localhost:7860", origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("localhost:80", "http://LOCALHOST"),
    ],
)
def test_a_default_port_may_be_left_out(host, origin):
    Guard("127.0.0.1").check(host, origin)


@pytest.mark.parametrize("origin", ["https://app.example", "HTTPS://App.Example", "https://app.example:443"])
def test_an_allowed_origin_may_call_however_it_is_spelled(origin):
    guard = Guard("127.0.0.1", parse_origins(["https://APP.example/"]))
    guard.check("localhost:7860", origin)
    assert guard.allows(origin)


@pytest.mark.parametrize(
    "origin",
    ["http://app.example", "https://app.example:8443", "https://app.example.evil.example", "https://x.app.example",
     "https://app.example/", "https://user@app.example", "null", "*"],
)  # fmt: skip
def test_an_origin_that_is_only_like_an_allowed_one_is_refused(origin):
    guard = Guard("127.0.0.1", parse_origins(["https://app.example"]))
    with pytest.raises(Forbidden, match="may not use this server"):
        guard.check("localhost:7860", origin)
    assert not guard.allows(origin)


def test_a_star_allows_every_page_and_name():
    guard = Guard("127.0.0.1", parse_origins(["*"]))
    guard.check("bot.tunnel.example", "http://evil.example")
    guard.check("bot.tunnel.example", "null")


def test_an_allowed_origin_is_a_known_host_too():
    guard = Guard("127.0.0.1", parse_origins(["https://bot.tunnel.example", "http://192.0.2.7:8080"]))
    guard.check("bot.tunnel.example", "https://bot.tunnel.example")
    guard.check("192.0.2.7:8080", None)
    with pytest.raises(Forbidden, match="is not a name of this server"):
        guard.check("evil.example", None)


def test_apps_have_origins_too():
    assert parse_origins(["capacitor://localhost", " "]) == {"capacitor://localhost"}


@pytest.mark.parametrize("entry", ["app.example", "https://app.example/page", "https://", "https://*.example", "null"])
def test_what_is_no_origin_cannot_be_allowed(entry):
    with pytest.raises(UsageError, match="is not an origin") as raised:
        parse_origins([entry])
    assert raised.value.hint


def test_the_names_of_this_machine_are_known():
    guard = Guard("0.0.0.0", names=frozenset({"mylaptop.local"}))
    guard.check("MyLaptop.local:7860", "http://mylaptop.local:7860")


def test_a_refused_page_is_told_how_it_could_be_allowed():
    with pytest.raises(Forbidden) as raised:
        Guard("127.0.0.1").check("localhost:7860", "http://localhost:3000")
    assert raised.value.hint == "`--allowed-origins http://localhost:3000` allows them"


@pytest.mark.parametrize(
    ("authorization", "query"),
    [("Bearer s3cret", None), ("bearer  s3cret", None), (None, "s3cret"), ("Basic eDp5", "s3cret")],
)
def test_the_token_comes_in_the_header_or_in_the_url(authorization, query):
    Guard("localhost", token="s3cret").check_token(authorization, query)


@pytest.mark.parametrize(
    ("authorization", "query", "sentence"),
    [
        (None, None, "asks for a token"),
        ("Basic eDp5", None, "asks for a token"),
        ("s3cret", None, "asks for a token"),
        (None, "", "is wrong"),
        (None, "s3cre", "is wrong"),
        ("Bearer s3cret2", None, "is wrong"),
        ("Bearer wrong", "s3cret", "is wrong"),
        (None, "ü\udcff", "is wrong"),
    ],
)
def test_without_the_token_nobody_comes_in(authorization, query, sentence):
    with pytest.raises(Unauthorized, match=sentence) as raised:
        Guard("localhost", token="s3cret").check_token(authorization, query)
    assert "s3cret" not in str(raised.value) + raised.value.hint


def test_where_no_token_is_set_none_is_asked_for():
    Guard("localhost").check_token(None, None)


def test_a_guard_does_not_show_its_token():
    assert "s3cret" not in repr(Guard("localhost", token="s3cret"))
