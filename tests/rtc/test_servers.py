"""The URLs of ICE servers, and how their names are looked up; agents that ask them are in test_ice."""

import socket

import pytest

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.rtc.servers import StunServer, TurnServer, resolve, servers


def test_servers_are_sorted_by_kind_and_keep_their_order_and_credentials():
    spec = IceServerSpec(("stun:a", "turn:b:99?transport=tcp", "turns:c", "stun:d:1"), "user", "secret")
    assert servers([spec]) == (
        [StunServer("stun:a", "a", 3478), StunServer("stun:d:1", "d", 1)],
        [
            TurnServer("turn:b:99?transport=tcp", "b", 99, "tcp", False, "user", "secret"),
            TurnServer("turns:c", "c", 5349, "tcp", True, "user", "secret"),
        ],
    )


def test_a_credential_is_not_in_the_text_of_a_server():
    _, (server,) = servers([IceServerSpec(("turn:a",), "user", "secret")])
    assert "secret" not in repr(server)


def test_a_scheme_may_be_in_capitals_and_a_host_an_ipv6_address():
    assert servers([IceServerSpec(("STUN:[::1]:99",))])[0] == [StunServer("STUN:[::1]:99", "::1", 99)]


@pytest.mark.parametrize("url", ["stuns:a", "turns:a?transport=udp"])
def test_what_would_need_tls_over_udp_is_left_out_and_not_asked_in_the_clear(url, caplog):
    assert servers([IceServerSpec((url,))]) == ([], [])
    assert url in caplog.text


@pytest.mark.parametrize("url", ["http://a", "stun", "turn:", "turn:a:b", "turn:a?transport=sctp", "turn:u@a"])
def test_a_url_that_is_none_is_named(url):
    with pytest.raises(UsageError, match="is not the URL of an ICE server"):
        servers([IceServerSpec((url,))])


async def test_a_name_is_looked_up_and_an_address_is_not(monkeypatch):
    monkeypatch.setattr(socket, "gethostbyname", lambda host: {"here.invalid": "192.0.2.9"}[host])
    assert await resolve("here.invalid", 5) == ("192.0.2.9", 5)
    assert await resolve("::1", 5) == ("::1", 5)
    assert await resolve("127.0.0.1", 5) == ("127.0.0.1", 5)
