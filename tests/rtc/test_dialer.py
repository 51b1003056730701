"""The dialing side: the offer it makes, what it obeys, and how it comes back."""

import asyncio
import socket
from dataclasses import replace

import pytest
from calls import AUDIO_ONLY, IMPATIENT, Mailbox, answering, dialed, holdings, idle_bot, until

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Ice, Redial, Settings, Timing
from smallrtc_cli.errors import CouldNotConnect, OfferRefused, ServerUnreachable, UsageError
from smallrtc_cli.protocol.session import CloseReason, State
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

QUICK_REDIAL = Settings(redial=Redial(first_delay=0.02, growth=1.0))


class Recorder:
    """An exchange that keeps what passes, and may change the answer or fail."""

    def __init__(self, inner, change=lambda answer: answer, fail=lambda request: None):
        self.inner, self.change, self.fail = inner, change, fail
        self.offers, self.patches = [], []

    async def offer(self, request):
        self.offers.append(request)
        self.fail(request)
        return self.change(await self.inner.offer(request))

    async def candidates(self, request):
        self.patches.append(request)
        await self.inner.candidates(request)


def kinds(sdp: str) -> list[str]:
    return [section.split(" ")[0] for section in sdp.split("m=")[1:]]


async def test_the_offer_has_the_three_transceivers_in_order_and_the_channel():
    async with answering(idle_bot) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange, DialOptions()) as (_, connection):
            request = exchange.offers[0]
            sections = request.sdp.split("m=")[1:]
            assert kinds(request.sdp) == ["audio", "video", "video", "application"]
            assert [d for s in sections[:3] for d in ("a=sendrecv", "a=sendonly") if d in s] == [
                "a=sendrecv",
                "a=sendrecv",
                "a=sendonly",
            ]
            assert (request.type, request.pc_id, request.restart_pc) == ("offer", None, False)
            assert connection.pc_id == server.connection.pc_id
            await until(lambda: connection.peer.stages.channel)


async def test_audio_only_is_offered_without_video():
    async with answering(idle_bot) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange, AUDIO_ONLY):
            assert kinds(exchange.offers[0].sdp) == ["audio", "application"]


async def test_a_codec_preference_leaves_only_that_codec_and_the_call_uses_it():
    options = DialOptions(media=MediaOptions(audio_codec="pcmu", video_codec="H264"))
    async with answering(echo) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange, options) as (_, connection):
            audio, video = exchange.offers[0].sdp.split("m=")[1:3]
            assert "PCMU" in audio
            assert "opus" not in audio
            assert "VP8" not in video
            assert "a=rtpmap:0 PCMU/8000" in connection.pc.remoteDescription.sdp


def test_an_unknown_codec_is_named_with_those_that_there_are():
    async def dial():
        await Dialer(None, DialOptions(media=MediaOptions(audio_codec="mp3"))).dial()

    with pytest.raises(UsageError, match="mp3") as caught:
        asyncio.run(dial())
    assert "opus" in caught.value.hint


async def test_request_data_reaches_the_bot():
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor, replace(AUDIO_ONLY, request_data={"voice": "amy"})):
            assert server.arguments[0].body == {"voice": "amy"}


async def test_it_pings_and_says_what_is_muted_when_the_channel_opens():
    settings = Settings(timing=Timing(ping_interval=0.05))
    async with answering(idle_bot) as server:
        dialer = Dialer(server.supervisor, AUDIO_ONLY, settings=settings)
        dialer.connection.set_track_enabled(0, False)
        connection = await dialer.dial()
        await until(lambda: server.connection.counters["pingsReceived"] >= 3)
        assert not server.connection.audio_input_track().is_enabled()
        await connection.disconnect()


async def test_it_obeys_renegotiate_on_the_same_peer_connection():
    async with answering(idle_bot) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange, DialOptions()) as (_, connection):
            await until(lambda: server.connection.is_connected() and connection.peer.stages.channel)
            pc, pc_id = connection.pc, connection.pc_id
            server.connection.ask_to_renegotiate()
            await until(lambda: len(exchange.offers) == 2 and connection.pc.signalingState == "stable")
            again = exchange.offers[1]
            assert (again.pc_id, again.restart_pc) == (pc_id, False)
            assert connection.pc is pc
            assert connection.pc_id == pc_id
            transport = SmallWebRTCTransport(connection)
            await transport.start()
            assert connection.is_connected()
        assert len(server.arguments) == 1


async def test_it_obeys_peer_left():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        await until(lambda: server.connection.is_connected())
        await server.connection.disconnect()
        await asyncio.wait_for(connection.wait_closed(), 10)
        assert connection.close_reason is CloseReason.PEER_LEFT


async def test_a_restart_takes_a_new_id_and_keeps_the_bot():
    async with answering(echo) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange) as (dialer, connection):
            transport = SmallWebRTCTransport(connection)
            mailbox = Mailbox(transport)
            await transport.send_message({"n": 1})
            assert await mailbox.next() == {"n": 1}
            old = connection.pc_id
            dialer.restart()
            await until(lambda: connection.pc_id != old and connection.is_connected())
            await transport.send_message({"n": 2})
            assert await mailbox.next() == {"n": 2}
            assert (exchange.offers[1].pc_id, exchange.offers[1].restart_pc) == (old, True)
            assert [c.pc_id for c in server.handler.connections] == [connection.pc_id]
        assert len(server.arguments) == 1


async def test_a_lost_path_is_dialed_again_and_the_conversation_goes_on():
    async with answering(echo) as server:
        async with dialed(server.supervisor, settings=QUICK_REDIAL) as (_, connection):
            transport = SmallWebRTCTransport(connection)
            mailbox = Mailbox(transport)
            await transport.start()
            old = connection.pc_id
            for protocol in connection.peer.agent.host_protocols():
                protocol.transport.abort()
            await until(lambda: connection.pc_id != old and connection.is_connected())
            await transport.send_message({"n": 2})
            assert await mailbox.next() == {"n": 2}
        assert len(server.arguments) == 1


async def test_it_tries_three_times_and_then_says_that_it_could_not_get_back():
    def unreachable(request):
        if request.restart_pc:
            raise ServerUnreachable("nothing listens")

    async with answering(idle_bot, IMPATIENT) as server:
        exchange = Recorder(server.supervisor, fail=unreachable)
        async with dialed(exchange, settings=QUICK_REDIAL) as (_, connection):
            for protocol in connection.peer.agent.host_protocols():
                protocol.transport.abort()
            await asyncio.wait_for(connection.wait_closed(), 10)
            assert connection.close_reason is CloseReason.REDIAL_FAILED
            assert len(exchange.offers) == 1 + 3


async def test_a_restart_on_purpose_that_fails_leaves_the_present_connection_in_place():
    def unreachable(request):
        if request.restart_pc:
            raise ServerUnreachable("nothing listens")

    async with answering(echo) as server:
        exchange = Recorder(server.supervisor, fail=unreachable)
        async with dialed(exchange, settings=QUICK_REDIAL) as (dialer, connection):
            transport = SmallWebRTCTransport(connection)
            mailbox = Mailbox(transport)
            await transport.start()
            dialer.restart()
            await until(lambda: len(exchange.offers) > 1 and not dialer.is_redialing())
            await transport.send_message({"still": "here"})
            assert await mailbox.next() == {"still": "here"}


async def test_a_server_that_hangs_up_without_a_word_is_not_dialed_again():
    async with answering(idle_bot) as server:
        exchange = Recorder(server.supervisor)
        async with dialed(exchange, settings=QUICK_REDIAL) as (_, connection):
            await until(lambda: server.connection.is_connected())
            await server.connection.close()
            await asyncio.wait_for(connection.wait_closed(), 10)
            assert connection.close_reason is CloseReason.PEER_CLOSED
            assert len(exchange.offers) == 1


async def test_a_server_that_says_no_is_not_asked_again():
    def refuse(request):
        if request.restart_pc:
            raise OfferRefused("no", status=403)

    async with answering(idle_bot) as server:
        exchange = Recorder(server.supervisor, fail=refuse)
        async with dialed(exchange, settings=QUICK_REDIAL) as (dialer, connection):
            dialer.restart()
            await asyncio.wait_for(connection.wait_closed(), 10)
            assert len(exchange.offers) == 1 + 1


async def test_a_refused_offer_is_raised_and_leaves_nothing():
    def refuse(request):
        raise ServerUnreachable("nothing listens at `localhost:1`")

    before = holdings()
    dialer = Dialer(Recorder(None, fail=refuse), AUDIO_ONLY)
    with pytest.raises(ServerUnreachable):
        await dialer.dial()
    assert dialer.connection.state is State.CLOSED
    await until(lambda: holdings() == before)


async def test_an_answer_that_is_none_is_named_and_leaves_nothing():
    class Nonsense:
        async def offer(self, request):
            return {"sdp": "v=0\r\nnonsense", "type": "answer", "pc_id": "x"}

    before = holdings()
    with pytest.raises(CouldNotConnect, match="answer cannot be used"):
        await Dialer(Nonsense(), AUDIO_ONLY).dial()
    await until(lambda: holdings() == before)


async def test_a_peer_that_cannot_be_reached_is_given_up_with_a_hint():
    def elsewhere(answer):
        lines = [line for line in answer["sdp"].splitlines() if not line.startswith("a=candidate")]
        return {**answer, "sdp": "\r\n".join(line for line in lines if line != "a=end-of-candidates") + "\r\n"}

    async with answering(idle_bot, IMPATIENT) as server:
        # Without candidates on either side no check can be sent, in either direction.
        options = replace(AUDIO_ONLY, connect_timeout=0.3)
        exchange = Recorder(WithoutCandidates(server.supervisor), change=elsewhere)
        with pytest.raises(CouldNotConnect, match="no candidate pair") as caught:
            await Dialer(exchange, options).dial()
        assert "TURN" in caught.value.hint


class WithoutCandidates:
    """Hides the dialing side's candidates from the answering side."""

    def __init__(self, inner):
        self.inner = inner

    async def offer(self, request):
        lines = [line for line in request.sdp.splitlines() if not line.startswith("a=candidate")]
        sdp = "\r\n".join(line for line in lines if line != "a=end-of-candidates") + "\r\n"
        return await self.inner.offer(replace(request, sdp=sdp))


async def test_a_wrong_fingerprint_is_a_dtls_failure():
    def forge(answer):
        head, _, tail = answer["sdp"].partition("a=fingerprint:sha-256 ")
        return {**answer, "sdp": f"{head}a=fingerprint:sha-256 {'00' if tail[:2] != '00' else '11'}{tail[2:]}"}

    async with answering(idle_bot, IMPATIENT) as server:
        with pytest.raises(CouldNotConnect, match="DTLS"):
            await Dialer(Recorder(server.supervisor, change=forge), AUDIO_ONLY).dial()


async def test_candidates_of_a_slow_server_follow_the_answer_in_a_batch_that_ends_them():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(ice=Ice(gather_timeout=0.05, trickle_timeout=0.1, batch=0.01))
        async with answering(idle_bot) as server:
            exchange = Recorder(server.supervisor)
            async with dialed(exchange, replace(AUDIO_ONLY, ice_servers=[url]), settings):
                assert "a=end-of-candidates" not in exchange.offers[0].sdp
                await until(lambda: exchange.patches)
                assert [c.candidate for c in exchange.patches[0].candidates] == ["", ""]


async def test_the_offer_waits_for_gathering_when_asked_to():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(ice=Ice(gather_timeout=0.2, trickle_timeout=0.1))
        options = replace(AUDIO_ONLY, ice_servers=[url], wait_for_ice_gathering=True)
        async with answering(idle_bot) as server:
            exchange = Recorder(server.supervisor)
            async with dialed(exchange, options, settings):
                assert "a=end-of-candidates" in exchange.offers[0].sdp
            assert not exchange.patches
