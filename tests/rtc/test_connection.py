"""The connection: documented members, order, liveness, and an end that leaves nothing."""

import asyncio
import json

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from calls import AUDIO_ONLY, IMPATIENT, NO_REDIAL, Mailbox, answering, dialed, holdings, idle_bot, until

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.errors import BadRequest, ConnectionEnded, MessageTooLarge
from smallrtc_cli.protocol.session import CloseReason, State
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.transport import SmallWebRTCTransport


def bare_peer() -> RTCPeerConnection:
    """One of aiortc's own; without a list of servers it would ask Google's."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def browser_like_offer(pc: RTCPeerConnection) -> str:
    """Three transceivers in order and a channel, made by bare aiortc."""
    pc.addTransceiver("audio", "sendrecv")
    pc.addTransceiver("video", "sendrecv")
    pc.addTransceiver("video", "sendonly")
    pc.createDataChannel("rtvi-events", ordered=True)
    await pc.setLocalDescription(await pc.createOffer())
    return pc.localDescription.sdp


def test_ice_servers_are_urls_or_objects_but_not_both():
    assert SmallWebRTCConnection(["stun:a:1"]).ice_servers == [IceServer(urls="stun:a:1")]
    assert SmallWebRTCConnection([IceServer(urls=["stun:a:1"])]).ice_servers[0].urls == ["stun:a:1"]
    assert SmallWebRTCConnection().ice_servers == []
    with pytest.raises(TypeError):
        SmallWebRTCConnection(["stun:a:1", IceServer(urls="stun:a:1")])


async def test_before_the_offer_there_is_no_answer_and_no_peer():
    connection = SmallWebRTCConnection()
    assert connection.get_answer() is None
    assert not connection.is_connected()
    assert connection.audio_input_track() is None
    with pytest.raises(ConnectionEnded):
        _ = connection.pc
    await connection.close()
    assert connection.state is State.CLOSED


async def test_a_browser_like_offer_is_answered_in_the_order_and_directions_of_the_protocol():
    pc, connection = bare_peer(), SmallWebRTCConnection()
    try:
        await connection.initialize(await browser_like_offer(pc), "offer")
        answer = connection.get_answer()
        assert answer["type"] == "answer"
        assert answer["pc_id"] == connection.pc_id
        sections = answer["sdp"].split("m=")[1:]
        assert [s.split(" ")[0] for s in sections] == ["audio", "video", "video", "application"]
        directions = ["a=sendrecv" in sections[0], "a=sendrecv" in sections[1], "a=recvonly" in sections[2]]
        assert directions == [True, True, True]
        assert "a=max-message-size:262144" in sections[3]
        assert "a=candidate" in sections[0]
        assert connection.audio_input_track().kind == "audio"
        assert connection.video_input_track().kind == connection.screen_video_input_track().kind == "video"
    finally:
        await connection.close()
        await pc.close()


async def test_a_bare_aiortc_client_gets_its_messages_and_peer_left():
    pc, connection = bare_peer(), SmallWebRTCConnection()
    heard, left = asyncio.Event(), asyncio.Event()
    offer = await browser_like_offer(pc)
    received: list[str] = []

    @connection.event_handler("app-message")
    async def on_message(connection, message):
        connection.send_app_message({"heard": message})

    await connection.initialize(offer, "offer")
    await connection.connect()
    await pc.setRemoteDescription(RTCSessionDescription(**{k: connection.get_answer()[k] for k in ("sdp", "type")}))
    channel = pc.createDataChannel("chat")

    @channel.on("message")
    def on_text(text):
        received.append(text)
        (left if "peerLeft" in text else heard).set()

    await until(lambda: channel.readyState == "open")
    channel.send(b'{"type":"rtvi","n":1}')  # iOS sends text as binary
    await asyncio.wait_for(heard.wait(), 10)
    await connection.disconnect()
    await asyncio.wait_for(left.wait(), 10)
    assert [json.loads(t) for t in received] == [
        {"heard": {"type": "rtvi", "n": 1}},
        {"type": "signalling", "message": {"type": "peerLeft"}},
    ]
    assert connection.close_reason is CloseReason.BOT_ENDED
    await pc.close()


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\n", "m=audio\r\n" * 50])
async def test_an_offer_that_is_none_is_refused_and_leaves_nothing(sdp):
    before = holdings()
    connection = SmallWebRTCConnection()
    with pytest.raises(BadRequest):
        await connection.initialize(sdp, "offer")
    await connection.close()
    assert holdings() == before


async def test_a_description_of_another_type_is_refused():
    connection = SmallWebRTCConnection()
    with pytest.raises(BadRequest, match="answer"):
        await connection.initialize("v=0", "answer")
    await connection.close()


async def test_client_ready_that_arrives_before_the_bot_is_answered_by_bot_ready_with_its_id():
    joined = asyncio.Event()

    async def late(runner_args):
        await joined.wait()
        await SmallWebRTCTransport(runner_args.webrtc_connection).wait_closed()

    async with answering(late) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"label": "rtvi-ai", "type": "client-ready", "id": "abc", "data": {}})
        await until(lambda: server.connection.peer.stages.channel)
        await asyncio.sleep(0.05)
        assert mailbox.messages.empty()
        joined.set()
        ready = await mailbox.next()
        assert (ready["type"], ready["id"], ready["label"]) == ("bot-ready", "abc", "rtvi-ai")


async def test_what_is_pending_at_the_end_still_arrives_before_peer_left():
    """P12: 60 kB under way when the bot ends."""

    async def farewell(runner_args):
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        await transport.send_message({"big": "x" * 60_000})

    async with answering(farewell) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.start()
        assert len((await mailbox.next())["big"]) == 60_000
        await connection.wait_closed()
        assert connection.close_reason is CloseReason.PEER_LEFT


async def test_a_message_above_the_limit_is_refused_with_its_size_and_the_channel_goes_on():
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        with pytest.raises(MessageTooLarge, match="262144"):
            await transport.send_message({"big": "x" * 300_000})
        await transport.send_message({"small": 1})
        assert await mailbox.next() == {"small": 1}


async def test_a_client_that_vanishes_is_lost_and_then_closed_with_its_reason():
    """P3, with shorter times."""
    states = []

    async def watching(runner_args):
        connection = runner_args.webrtc_connection
        for name in ("lost", "closed"):
            connection.add_event_handler(name, lambda c, name=name: states.append((name, c.close_reason)))
        await SmallWebRTCTransport(connection).wait_closed()

    async with answering(watching, IMPATIENT) as server:
        async with dialed(server.supervisor, settings=NO_REDIAL) as (_, connection):
            await until(lambda: server.connection.is_connected())
            agent = connection.peer.agent
            for protocol in agent.host_protocols():
                protocol.transport.abort()  # as a cable that is pulled: nothing is said
            await asyncio.wait_for(server.connection.wait_closed(), 20)
            assert server.connection.close_reason is CloseReason.ICE_TIMEOUT
            await until(lambda: len(states) == 2)
            assert [name for name, _ in states] == ["lost", "closed"]


async def test_a_client_that_is_silent_but_there_is_not_lost():
    """P2: no ping, no media; consent responses are enough."""
    lost = []
    async with answering(idle_bot, IMPATIENT) as server:
        pc, connection = bare_peer(), None
        pc.createDataChannel("chat")
        await pc.setLocalDescription(await pc.createOffer())
        from smallrtc_cli.protocol.signalling import SmallWebRTCRequest

        answer = await server.supervisor.offer(SmallWebRTCRequest(pc.localDescription.sdp, "offer"))
        await pc.setRemoteDescription(RTCSessionDescription(sdp=answer["sdp"], type="answer"))
        await until(lambda: server.arguments and server.connection.is_connected())
        connection = server.connection
        connection.add_event_handler("lost", lambda c: lost.append(c))
        await asyncio.sleep(IMPATIENT.timing.close_after + 0.5)
        assert connection.state is State.CONNECTED
        assert not lost
        await pc.close()
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_CLOSED


async def test_handlers_run_in_order_and_one_at_a_time():
    """P14."""
    seen, running = [], 0

    async def slow(runner_args):
        connection = runner_args.webrtc_connection

        @connection.event_handler("app-message")
        async def on_message(connection, message):
            nonlocal running
            running += 1
            assert running == 1
            await asyncio.sleep(0.002 * (message["n"] % 3))
            seen.append(message["n"])
            running -= 1

        await SmallWebRTCTransport(connection).wait_closed()

    async with answering(slow) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        for n in range(50):
            await transport.send_message({"n": n})
        await until(lambda: len(seen) == 50)
        assert seen == list(range(50))


async def test_a_handler_that_fails_does_not_stop_the_others(caplog):
    async def fragile(runner_args):
        connection = runner_args.webrtc_connection

        @connection.event_handler("app-message")
        def broken(connection, message):
            raise RuntimeError("on purpose")

        connection.add_event_handler("app-message", lambda c, m: c.send_app_message({"still": m["n"]}))
        await SmallWebRTCTransport(connection).wait_closed()

    async with answering(fragile) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"n": 7})
        assert await mailbox.next() == {"still": 7}
    assert "on purpose" in caplog.text


async def test_track_status_reaches_handlers_and_is_kept_over_a_restart():
    """P13."""
    seen = []

    async def watching(runner_args):
        connection = runner_args.webrtc_connection
        connection.add_event_handler("track-status", lambda c, index, on: seen.append((index, on)))
        await SmallWebRTCTransport(connection).wait_closed()

    async with answering(watching) as server, dialed(server.supervisor) as (dialer, connection):
        connection.set_track_enabled(0, False)
        await until(lambda: seen)
        assert seen[0] == (0, False)
        assert not server.connection.audio_input_track().is_enabled()
        before = server.connection.pc_id
        dialer.restart()
        await until(lambda: server.connection.pc_id != before and server.connection.is_connected())
        assert not server.connection.audio_input_track().is_enabled()


async def test_the_answering_side_stays_connected_while_a_client_replaces_its_peer():
    """P1: what the bot says meanwhile is not thrown away; `disconnected` comes when the new peer takes over."""
    seen, during = [], []

    async def watching(runner_args):
        connection = runner_args.webrtc_connection
        for event in ("connected", "disconnected"):
            connection.add_event_handler(event, lambda c, event=event: seen.append(event))
        await SmallWebRTCTransport(connection).wait_closed()

    class Watched:
        def __init__(self, exchange):
            self.exchange, self.candidates = exchange, exchange.candidates

        async def offer(self, request):
            answer = await self.exchange.offer(request)
            if request.restart_pc:
                during.append((server.connection.state, server.connection.is_connected(), tuple(seen)))
            return answer

    async with answering(watching) as server, dialed(Watched(server.supervisor)) as (dialer, _):
        await until(lambda: seen == ["connected"])
        dialer.restart()
        await until(lambda: seen == ["connected", "disconnected", "connected"])
        assert during == [(State.CONNECTING, True, ("connected",))]


async def test_close_may_be_called_by_many_at_once_and_from_a_handler():
    async with answering(idle_bot) as server, dialed(server.supervisor, AUDIO_ONLY) as (_, connection):
        connection.add_event_handler("closed", lambda c: c.close())
        closed = asyncio.Event()
        connection.add_event_handler("closed", lambda c: closed.set())
        await asyncio.gather(*(connection.close() for _ in range(5)))
        await asyncio.wait_for(closed.wait(), 5)
        await connection.disconnect()


async def test_a_handler_that_was_removed_is_called_no_more():
    seen, connection = [], SmallWebRTCConnection()
    connection.add_event_handler("closed", seen.append)
    connection.remove_event_handler("closed", seen.append)
    connection.add_event_handler("closed", lambda c: seen.append("kept"))
    await connection.close()
    await connection.settled()
    assert seen == ["kept"]


async def test_directions_that_were_changed_can_be_forced_back():
    pc, connection = bare_peer(), SmallWebRTCConnection()
    await connection.initialize(await browser_like_offer(pc), "offer")
    for transceiver in connection.pc.getTransceivers():
        transceiver.direction = "inactive"
    connection.force_transceivers_to_send_recv()
    assert [t.direction for t in connection.pc.getTransceivers()] == ["sendrecv", "sendrecv", "recvonly"]
    await connection.close()
    await pc.close()
