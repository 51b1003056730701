"""Who is connected: ids, modes, and requests that cannot be served."""

import asyncio

import pytest
from calls import answering, dialed, holdings, idle_bot, until

from smallrtc_cli.errors import BadRequest, PeerMismatch, ServerClosing, UnknownPeer
from smallrtc_cli.protocol.signalling import IceCandidate, SmallWebRTCPatchRequest, SmallWebRTCRequest
from smallrtc_cli.rtc.request_handler import ConnectionMode, SmallWebRTCRequestHandler


async def offer_from(dialer) -> str:
    """The SDP of another offer of the same dialer."""
    return dialer.connection.pc.localDescription.sdp


async def test_candidates_for_an_unknown_or_old_id_are_404_and_for_a_live_one_are_taken():
    """P7, P29."""
    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, connection):
        first = connection.pc_id
        odd = [
            IceCandidate("nonsense"),
            IceCandidate("candidate:1 1 udp 1 127.0.0.1 notaport typ host"),
            IceCandidate("candidate:1 1 udp 2130706431 127.0.0.1 9 typ host", "7", 3),
            IceCandidate(""),
        ]
        await server.handler.handle_patch_request(SmallWebRTCPatchRequest(first, odd))
        assert server.connection.peer.candidates_refused == 2
        dialer.restart()
        await until(lambda: connection.pc_id != first)
        for dead in (first, "never-there"):
            with pytest.raises(UnknownPeer):
                await server.handler.handle_patch_request(SmallWebRTCPatchRequest(dead, odd))


async def test_an_offer_for_an_unknown_id_makes_a_new_connection():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, _):
        request = SmallWebRTCRequest(await offer_from(dialer), "offer", pc_id="gone", restart_pc=True)
        answer = await server.supervisor.offer(request)
        assert answer["pc_id"] != "gone"
        assert len(server.handler.connections) == 2
        await until(lambda: len(server.arguments) == 2)


async def test_single_mode_takes_one_client_and_refuses_others_in_words():
    async with answering(idle_bot, connection_mode=ConnectionMode.SINGLE) as server:
        async with dialed(server.supervisor) as (dialer, _):
            sdp = await offer_from(dialer)
            with pytest.raises(PeerMismatch, match="one at a time"):
                await server.supervisor.offer(SmallWebRTCRequest(sdp, "offer"))
            with pytest.raises(PeerMismatch, match="pc_id"):
                await server.supervisor.offer(SmallWebRTCRequest(sdp, "offer", pc_id="other"))
        await until(lambda: not server.handler.connections)
        async with dialed(server.supervisor):
            assert len(server.handler.connections) == 1


async def test_two_offers_for_one_connection_do_not_interleave():
    """P10."""
    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, connection):
        sdp = await offer_from(dialer)
        request = SmallWebRTCRequest(sdp, "offer", pc_id=connection.pc_id, restart_pc=True)
        answers = await asyncio.gather(*(server.supervisor.offer(request) for _ in range(4)))
        assert len(server.handler.connections) == 1
        assert len({a["pc_id"] for a in answers}) == len(answers)
        assert answers[-1]["pc_id"] == server.handler.connections[0].pc_id
        assert len(server.arguments) == 1


async def test_a_bad_offer_starts_nothing_and_leaves_nothing():
    async with answering(idle_bot) as server:
        before = holdings()
        for sdp in ("", "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "\x00" * 100):
            with pytest.raises(BadRequest):
                await server.supervisor.offer(SmallWebRTCRequest(sdp, "offer"))
        with pytest.raises(BadRequest, match="answer"):
            await server.supervisor.offer(SmallWebRTCRequest("v=0", "answer"))
        assert not server.handler.connections
        assert not server.arguments
        await until(lambda: holdings() == before)


async def test_a_callback_that_fails_ends_the_new_connection():
    handler = SmallWebRTCRequestHandler()

    def refuse(connection):
        raise ServerClosing("no")

    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, _):
        with pytest.raises(ServerClosing):
            await handler.handle_web_request(SmallWebRTCRequest(await offer_from(dialer), "offer"), refuse)
        assert not handler.connections


async def test_a_closing_handler_takes_no_more_offers():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, connection):
        sdp = await offer_from(dialer)
        await server.handler.close()
        with pytest.raises(ServerClosing):
            await server.supervisor.offer(SmallWebRTCRequest(sdp, "offer"))
        await asyncio.wait_for(connection.wait_closed(), 10)


async def test_esp32_answers_are_short_and_name_only_the_host():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (dialer, connection):
        host = connection.peer.agent.local_candidates[0].host
        handler = SmallWebRTCRequestHandler(esp32_mode=True, host=host)
        answer = await handler.handle_web_request(SmallWebRTCRequest(await offer_from(dialer), "offer"), lambda c: None)
        lines = answer["sdp"].split("\r\n")
        assert not [line for line in lines if "sha-384" in line or "sha-512" in line]
        assert all(host in line for line in lines if line.startswith("a=candidate"))
        assert [line for line in lines if line.startswith("a=candidate")]
        assert answer["sdp"].endswith("\r\n")
        await handler.close()


def test_esp32_mode_needs_an_address():
    with pytest.raises(ValueError, match="host"):
        SmallWebRTCRequestHandler(esp32_mode=True)


async def test_updated_ice_servers_are_those_of_later_connections():
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor):
            assert server.connection.ice_servers == []
        server.handler.update_ice_servers(["stun:127.0.0.1:9"])
        async with dialed(server.supervisor):
            await until(lambda: len(server.arguments) == 2)
            assert [each.urls for each in server.connection.ice_servers] == ["stun:127.0.0.1:9"]
