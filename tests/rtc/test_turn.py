"""Calls over a real TURN server (coturn): UDP, TCP and TLS, and what happens when the server refuses or dies."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from calls import AUDIO_ONLY, NO_REDIAL, Mailbox, answering, dialed, holdings, until
from ice_services import LOOPBACK, Coturn, StunService

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Ice, Settings
from smallrtc_cli.errors import CouldNotConnect
from smallrtc_cli.rtc.aiortc_internals import relay_socket
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer
from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.servers import servers
from smallrtc_cli.rtc.sockets import enlarge_buffers
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

NEVER = 3600.0
PATIENT = Settings(ice=Ice(gather_timeout=10.0, trickle_timeout=20.0))
"A busy machine may need longer than half a second for TLS."


@contextlib.asynccontextmanager
async def relayed_call(*ice_servers: IceServer) -> AsyncIterator[tuple[SmallWebRTCConnection, SmallWebRTCConnection]]:
    """A call over nothing but relays; the dialed connection and the answered one."""
    options = replace(AUDIO_ONLY, ice_servers=ice_servers, ice_transport_policy="relay")
    settings = replace(PATIENT, redial=NO_REDIAL.redial)
    async with (
        answering(echo, settings, ice_servers=ice_servers, ice_transport_policy="relay") as server,
        dialed(server.supervisor, options, settings) as (_, connection),
    ):
        yield connection, server.connection


def pair_of(connection: SmallWebRTCConnection) -> tuple[str, str]:
    pair = connection.peer.agent.nominated_pair()
    return pair.local_candidate.type, pair.remote_candidate.type


async def says_back(connection: SmallWebRTCConnection, message: Any) -> None:
    transport = SmallWebRTCTransport(connection)
    mailbox = Mailbox(transport)
    await transport.send_message(message)
    assert await mailbox.next() == message


def silent(service: StunService) -> IceServer:
    return IceServer(urls=service.turn_server.url, username="u", credential="p")


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
async def test_a_relay_only_call_carries_messages_between_two_relays(coturn, monkeypatch, kind):
    monkeypatch.setenv("SSL_CERT_FILE", str(coturn.certificate))
    before = holdings()
    async with relayed_call(coturn.ice_server(kind)) as (dialed_side, answered_side):
        await says_back(dialed_side, {"big": "x" * 40_000})
        assert pair_of(dialed_side) == pair_of(answered_side) == ("relay", "relay")
    await until(lambda: holdings() == before)


async def test_the_socket_to_a_turn_server_has_the_buffers_of_a_host_candidates(coturn):
    async with relayed_call(coturn.ice_server()) as (connection, _):
        below = relay_socket(connection.peer.agent.nominated_pair().protocol)
        with socket.socket(type=socket.SOCK_DGRAM) as host:
            enlarge_buffers(host)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                assert below.getsockopt(socket.SOL_SOCKET, option) == host.getsockopt(socket.SOL_SOCKET, option)


async def test_a_relay_only_description_gives_no_host_address_away(coturn):
    connection = SmallWebRTCConnection([coturn.ice_server()], ice_transport_policy="relay")
    peer = connection.new_peer()
    try:
        sdp = await peer.offer(AUDIO_ONLY.media)
    finally:
        await peer.close()
        await connection.close()
    candidates = [line for line in sdp.splitlines() if line.startswith("a=candidate")]
    assert candidates
    assert all(" typ relay raddr 0.0.0.0 " in line for line in candidates)


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_named(coturn):
    with pytest.raises(CouldNotConnect, match=r"`?turns:127\.0\.0\.1.*certificate verify failed"):
        async with relayed_call(coturn.ice_server("tls")):
            pass


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_wrong_password_is_said_at_once_with_the_server_and_its_reason(coturn, kind):
    """At once: the limit for a server that does not answer is an hour here."""
    before = holdings()
    settings = Settings(ice=Ice(gather_timeout=NEVER, trickle_timeout=NEVER))
    server = coturn.ice_server(kind, password="wrong")
    options = replace(AUDIO_ONLY, ice_servers=[server], ice_transport_policy="relay")
    async with answering(echo, settings) as answering_side:
        dialer = Dialer(answering_side.supervisor, options, settings=settings)
        with pytest.raises(CouldNotConnect) as refused:
            await asyncio.wait_for(dialer.dial(), 10)
    assert server.urls in str(refused.value)
    assert "401" in str(refused.value)
    assert "wrong" not in str(refused.value)
    assert refused.value.hint
    await until(lambda: holdings() == before)


async def test_a_server_that_refuses_does_not_stop_a_call_that_needs_no_relay(coturn):
    servers_ = [coturn.ice_server(password="wrong")]
    options = replace(AUDIO_ONLY, ice_servers=servers_)
    async with (
        answering(echo, ice_servers=servers_) as server,
        dialed(server.supervisor, options) as (_, connection),
    ):
        await says_back(connection, {"n": 1})


async def test_the_second_turn_server_is_used_when_the_first_is_silent(coturn, silent_service):
    async with relayed_call(silent(silent_service), coturn.ice_server()) as (connection, _):
        assert silent_service.requests >= 1
        assert pair_of(connection) == ("relay", "relay")
        await says_back(connection, {"n": 1})


async def test_the_second_turn_server_is_used_when_the_first_refuses(coturn):
    async with relayed_call(coturn.ice_server(password="wrong"), coturn.ice_server("tcp")) as (connection, _):
        assert pair_of(connection) == ("relay", "relay")


async def test_a_relay_that_comes_behind_the_offer_is_trickled_and_used(coturn):
    """The answering side has nothing but a relay, the dialing side says its own one after the offer."""
    ice_servers = [coturn.ice_server()]
    options = replace(AUDIO_ONLY, ice_servers=ice_servers)
    async with (
        answering(echo, PATIENT, ice_servers=ice_servers, ice_transport_policy="relay") as server,
        dialed(server.supervisor, options, PATIENT) as (_, connection),
    ):
        assert pair_of(server.connection)[0] == "relay"
        types = lambda: {c.type for c in server.connection.peer.agent.remote_candidates}  # noqa: E731
        await until(lambda: "relay" in types())
        await says_back(connection, {"n": 1})


async def allocated(server: Coturn, kind: str) -> IceAgent:
    """An agent with a relay, and with a packet on its way to a peer behind it."""
    url = server.ice_server(kind)
    _, turns = servers([_spec(url)])
    agent = IceAgent((), turns, relay_only=True)
    await agent.gather_candidates()
    assert agent.local_candidates, agent.server_errors
    return agent


def _spec(server: IceServer) -> Any:
    from smallrtc_cli.protocol.ice_servers import IceServerSpec

    return IceServerSpec((server.urls,), server.username, server.credential)


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_closing_is_bounded_when_the_server_is_dead_or_hangs(mortal_coturn, monkeypatch, kind, how):
    """A packet to a new peer waits for the server too; nothing of it may stay behind."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mortal_coturn.certificate))
    before = holdings()
    agent = await allocated(mortal_coturn, kind)
    os.kill(mortal_coturn.process.pid, how)
    await agent.relay_protocols()[0].send_data(b"hello", (LOOPBACK, 9))
    await asyncio.wait_for(agent.close(), 8)  # TURN's own patience is 64 s, that of TLS 30 s
    await until(lambda: holdings() == before)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_call_whose_server_dies_ends_and_leaves_nothing(mortal_coturn, kind):
    before = holdings()
    async with relayed_call(mortal_coturn.ice_server(kind)) as (dialed_side, answered_side):
        await says_back(dialed_side, {"n": 1})
        mortal_coturn.stop()
        await asyncio.wait_for(asyncio.gather(dialed_side.close(), answered_side.close()), 15)
    await until(lambda: holdings() == before)
