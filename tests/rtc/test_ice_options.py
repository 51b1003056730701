"""What `--udp-ports`, `--interface` and `--public-ip` do to an agent, to an answer, and to a whole call."""

import asyncio
import re
import socket
from dataclasses import replace

import pytest
from calls import AUDIO_ONLY, answering, dialed, holdings, idle_bot, until
from ice_services import LOOPBACK
from sdp_offers import CHROMIUM
from udp_ports import free_range, nat

from smallrtc_cli.config import Ice, Settings, Timing
from smallrtc_cli.errors import CouldNotConnect, Unavailable
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc import ice
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.servers import StunServer

ELSEWHERE = "127.0.0.2"
"Another address of this machine, to be the public one."


def candidates(sdp: str) -> list[list[str]]:
    """The candidate lines of a description, in words."""
    return [line.split() for line in sdp.splitlines() if line.startswith("a=candidate")]


# Ports


async def test_host_candidates_are_inside_the_range_and_take_the_next_free_port(make_agent):
    ports = free_range(4)
    agents = [make_agent(udp_ports=ports) for _ in range(3)]
    for agent in agents:
        await agent.gather_candidates()
    assert [agent.local_candidates[0].port for agent in agents] == list(ports[:3])
    await agents[0].close()
    again = make_agent(udp_ports=ports)
    await again.gather_candidates()
    assert again.local_candidates[0].port == ports[0]


async def test_a_full_range_is_said_and_leaves_nothing(make_agent):
    ports = free_range(1)
    before = holdings()
    one, other = make_agent(udp_ports=ports), make_agent(udp_ports=ports)
    await one.gather_candidates()
    await other.gather_candidates()
    assert other.local_candidates == []
    assert other.host_errors == {LOOPBACK: f"all UDP ports from {ports[0]} to {ports[0]} are in use"}
    await asyncio.gather(one.close(), other.close())
    await until(lambda: holdings() == before)


async def test_a_server_whose_range_is_full_says_so_with_503_and_takes_the_next_call_when_one_ends(loopback_only):
    ports = free_range(1)
    async with answering(idle_bot, ice=IceOptions(udp_ports=ports)) as server:
        async with dialed(server.supervisor):
            with pytest.raises(Unavailable, match=f"all UDP ports from {ports[0]} to {ports[0]} are in use") as caught:
                await Dialer(server.supervisor, AUDIO_ONLY).dial()
            assert "--udp-ports" in caught.value.hint
        await until(lambda: not server.handler.connections)
        await server.connection.close()
        async with dialed(server.supervisor) as (_, connection):
            assert connection.peer.agent.nominated_pair().remote_candidate.port == ports[0]


async def test_a_dialer_keeps_to_its_range_too(loopback_only):
    ports = free_range(2)
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor, replace(AUDIO_ONLY, ice=IceOptions(udp_ports=ports))) as (_, connection):
            assert connection.peer.agent.nominated_pair().local_candidate.port in ports


# Interfaces


async def test_only_the_interfaces_that_were_named_are_used():
    agent = ice.IceAgent(interfaces=("127.0.0.1",))
    await agent.gather_candidates()
    assert [candidate.host for candidate in agent.local_candidates] == [LOOPBACK]
    await agent.close()


async def test_an_interface_that_has_gone_is_named_in_the_refusal():
    async with answering(idle_bot, ice=IceOptions(interfaces=("usb7",))) as server:
        with pytest.raises(Unavailable, match="no network interface is `usb7`"):
            await Dialer(server.supervisor, AUDIO_ONLY).dial()


async def test_an_interface_that_is_not_there_ends_the_dialing():
    with pytest.raises(CouldNotConnect, match="no network interface is `usb7`"):
        await Dialer(None, replace(AUDIO_ONLY, ice=IceOptions(interfaces=("usb7",)))).dial()


# The address outside


async def test_an_announced_address_stands_in_the_answer_beside_the_host(loopback_only):
    connection = SmallWebRTCConnection(ice=IceOptions(public_ip="203.0.113.7"))
    await connection.initialize(CHROMIUM, "offer")
    host, outside = candidates(connection.get_answer()["sdp"])[:2]
    assert host[4:8] == [LOOPBACK, host[5], "typ", "host"]
    assert outside[4:] == ["203.0.113.7", host[5], "typ", "srflx", "raddr", LOOPBACK, "rport", host[5]]
    await connection.close()


async def test_a_call_comes_in_through_the_announced_address_alone(loopback_only):
    """The client is told of nothing but the address outside; what it sends there arrives at the host's socket."""
    ports = free_range(1)
    async with answering(idle_bot, ice=IceOptions(udp_ports=ports, public_ip=ELSEWHERE)) as server:
        async with nat(ELSEWHERE, (LOOPBACK, ports[0])) as forwarder:
            async with dialed(Outside(server.supervisor)) as (_, connection):
                pair = connection.peer.agent.nominated_pair()
                assert (pair.remote_candidate.type, pair.remote_candidate.host) == ("srflx", ELSEWHERE)
                assert forwarder.forwarded > 0
                await until(lambda: server.connection.peer.stages.channel is not None)


class Outside:
    """An exchange as seen by one to whom the hosts' own addresses mean nothing."""

    def __init__(self, inner):
        self.inner = inner

    async def offer(self, request):
        lines = request.sdp.splitlines()
        hidden = "\r\n".join(line for line in lines if not line.startswith("a=candidate")) + "\r\n"
        answer = await self.inner.offer(replace(request, sdp=hidden.replace("a=end-of-candidates\r\n", "")))
        lines = [line for line in answer["sdp"].splitlines() if not re.match("a=candidate.* typ host", line)]
        return {**answer, "sdp": "\r\n".join(lines) + "\r\n"}

    async def candidates(self, request):
        return None


async def test_a_name_is_looked_up_for_each_connection(make_agent, monkeypatch):
    monkeypatch.setattr(socket, "gethostbyname", lambda host: {"bot.invalid": "203.0.113.9"}[host])
    agent = make_agent(public_ip="bot.invalid")
    await asyncio.wait_for(agent.gather_candidates(), 5)
    host, outside = agent.local_candidates
    assert (outside.host, outside.port, outside.related_address) == ("203.0.113.9", host.port, host.host)


async def test_a_name_that_cannot_be_found_costs_no_candidate_and_is_noted(make_agent, monkeypatch):
    def look_up(host: str) -> str:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    agent = make_agent(public_ip="bot.invalid", settings=Ice(gather_timeout=5))
    await asyncio.wait_for(agent.gather_candidates(), 5)
    assert [candidate.type for candidate in agent.local_candidates] == ["host"]
    assert "no such name" in agent.server_errors["bot.invalid"]


async def test_with_relay_only_no_address_is_announced(make_agent):
    for public in ("203.0.113.7", "bot.invalid"):
        agent = make_agent(public_ip=public, relay_only=True)
        await asyncio.wait_for(agent.gather_candidates(), 5)
        assert agent.local_candidates == []


# Handing down


def test_the_servers_of_both_ways_to_say_it_are_used():
    given = IceOptions(stun_servers=(StunServer("stun:a", "a", 3478),), udp_ports=range(5, 6))
    connection = SmallWebRTCConnection(["stun:b"], ice=given)
    assert [server.host for server in connection._ice.stun_servers] == ["a", "b"]
    assert connection._ice.udp_ports == range(5, 6)
    assert not connection._ice.relay_only
    assert SmallWebRTCConnection(ice=IceOptions(relay_only=True))._ice.relay_only
    assert SmallWebRTCConnection(ice_transport_policy="relay")._ice.relay_only


async def test_a_server_gives_a_connection_up_after_the_timeout_of_its_settings(loopback_only):
    """And not after the documented default of `SmallWebRTCConnection`, a minute."""
    async with answering(idle_bot, Settings(timing=Timing(connect_timeout=0.2))) as server:
        await server.supervisor.offer(SmallWebRTCRequest(CHROMIUM, "offer"))
        connection = server.handler.connections[0]
        assert connection.connection_timeout_secs == 0.2
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.CONNECT_TIMEOUT


def test_dial_options_say_nothing_of_ice_by_default():
    assert DialOptions().ice == IceOptions()
