import contextlib
import re
from dataclasses import replace

import pytest
from calls import answering, idle_bot
from ice_services import LOOPBACK, free_port

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.commands.doctor import call
from smallrtc_cli.commands.doctor.bounds import Tried
from smallrtc_cli.commands.doctor.call import Connected
from smallrtc_cli.commands.doctor.door import Door
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import BadRequest, CouldNotConnect, OfferRefused
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.diagnosis import Cause, Diagnosis, End, NoConnection
from smallrtc_cli.rtc.diagnosis import Tried as Pair
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.server import SignallingServer
from smallrtc_cli.web.urls import parse_url

PAIR = Pair(End("srflx", "203.0.113.7"), End("host", "198.51.100.2"), "succeeded")


def not_connected(cause):
    return NoConnection(
        "no candidate pair works", Diagnosis(cause, "UDP is blocked", "open it", ("2 pairs: 2 failed",))
    )


def test_a_refused_offer_fails_with_the_servers_sentence_and_a_cure():
    stage = call.judge_refusal(OfferRefused("the SDP has no audio", status=400), 0.1)
    assert (stage.verdict, stage.detail) == (Mark.FAIL, "the SDP has no audio")
    assert stage.cure
    assert "10 s" in call.judge_refusal(TimeoutError(), 10.0).detail


def test_an_answer_that_comes_late_is_a_warning():
    assert call.judge_offer(0.1).verdict is Mark.OK
    assert call.judge_offer(3.0).verdict is Mark.WARN


def test_a_connection_names_its_pair_and_how_it_is_protected():
    facts = Connected(PAIR, 3, 0.11, 0.02, "TLS_X")
    ice, dtls = call.judge_ice(facts), call.judge_dtls(facts)
    assert (ice.detail, ice.seconds) == ("ICE connected: srflx 203.0.113.7 → host 198.51.100.2, 3 pairs tried", 0.11)
    assert (dtls.detail, dtls.seconds) == ("DTLS connected: TLS_X", 0.02)


def test_a_connection_that_does_not_come_up_tells_what_was_tried_and_what_is_missing():
    (stage,) = call.judge_no_connection(not_connected(Cause.UDP_BLOCKED), 10.0)
    assert (stage.name, stage.verdict, stage.cure) == ("ice", Mark.FAIL, "open it")
    assert stage.detail == "ICE: UDP is blocked; 2 pairs: 2 failed"


@pytest.mark.parametrize("cause", [Cause.DTLS_REFUSED, Cause.DTLS_SILENT])
def test_where_dtls_fails_ice_has_done_its_part(cause):
    ice, dtls = call.judge_no_connection(not_connected(cause), 1.0)
    assert (ice.verdict, dtls.name, dtls.verdict) == (Mark.OK, "dtls", Mark.FAIL)


@pytest.mark.parametrize("error", [CouldNotConnect("the server closed the connection"), TimeoutError(), None])
def test_any_other_end_fails_ice(error):
    (stage,) = call.judge_no_connection(error, 1.0)
    assert (stage.name, stage.verdict) == ("ice", Mark.FAIL)
    assert stage.cure
    assert not stage.detail.endswith(": ")


def test_messages_are_needed_and_sound_may_come_later():
    late = Tried(None, TimeoutError(), 2.0)
    assert call.judge_channel(late).verdict is Mark.FAIL
    assert call.judge_audio(late).verdict is Mark.WARN
    for judge in (call.judge_channel, call.judge_audio):
        assert judge(Tried(None, None, 0.1)).verdict is Mark.OK
        assert judge(late).cure


def test_what_follows_a_failure_is_skipped_and_says_what_it_needs():
    told = []
    call.skip(told.append, "ice", "ICE")
    assert [stage.name for stage in told] == ["dtls", "channel", "audio", "mtu"]
    assert told[1].detail == "data channel skipped: needs ICE"
    call.skip(told.append, None, "TCP")
    assert len(told) == 4 + 6


# Against servers of this machine


@contextlib.asynccontextmanager
async def serving(exchange):
    server = SignallingServer(exchange)
    try:
        yield await server.start()
    finally:
        await server.close()


async def told_by(url, policy="all"):
    stages = []
    await call.examine(Door(parse_url(url), {}), url, NetworkOptions(ice_policy=policy), (), stages.append)
    return {stage.name: stage for stage in stages}


class Wrapped:
    """A server whose offers or answers go through somebody's hands."""

    def __init__(self, supervisor, **ways):
        self._supervisor = supervisor
        self.__dict__.update(ways)

    def __getattr__(self, name):
        return getattr(self._supervisor, name)


async def test_a_call_to_a_bot_is_well_from_the_offer_to_the_path():
    async with answering(echo) as side, serving(side.supervisor) as url:
        stages = await told_by(url)
        await side.connection.wait_closed()
    assert list(stages) == list(call.SUBJECTS)
    assert {stage.verdict for stage in stages.values()} == {Mark.OK}


async def test_a_bot_that_says_nothing_is_at_most_a_warning():
    async with answering(idle_bot) as side, serving(side.supervisor) as url:
        stages = await told_by(url)
    assert stages["channel"].verdict is Mark.OK
    assert stages["audio"].verdict in {Mark.OK, Mark.WARN}


async def test_a_bot_that_leaves_at_once_is_no_defect_of_ours():
    async def leave(runner_args):
        await SmallWebRTCTransport(runner_args.webrtc_connection).start()

    async with answering(leave) as side, serving(side.supervisor) as url:
        stages = await told_by(url)
    assert list(stages) == list(call.SUBJECTS)
    assert stages["ice"].verdict is Mark.OK


def test_a_server_that_hangs_up_fails_the_stage_that_waits_for_its_sound():
    stage = call.judge_audio(Tried(None, CouldNotConnect("the server hung up", hint="ask it"), 0.1))
    assert (stage.verdict, stage.detail, stage.cure) == (Mark.FAIL, "the server hung up", "ask it")


async def test_an_offer_that_is_refused_is_the_last_thing_that_is_looked_at():
    async def refuse(request):
        raise BadRequest("not today")

    async with answering(echo) as side, serving(Wrapped(side.supervisor, offer=refuse)) as url:
        stages = await told_by(url)
    assert stages["offer"].verdict is Mark.FAIL
    assert "not today" in stages["offer"].detail
    assert {stages[name].verdict for name in ("ice", "dtls", "channel", "audio", "mtu")} == {Mark.SKIPPED}


async def test_where_no_check_passes_ice_fails_and_says_what_was_tried(monkeypatch):
    """Our candidates never reach the server, and its own are at a port where nobody is."""
    monkeypatch.setattr(call, "CONNECT", 3.0)
    port = free_port()

    async with answering(echo) as side:

        async def offer(request):
            without = re.sub(r"a=candidate.*\r\n", "", request.sdp)
            answer = await side.supervisor.offer(replace(request, sdp=without))
            sdp = re.sub(r"(a=candidate:\S+ \d \w+ \d+) \S+ \d+", rf"\g<1> {LOOPBACK} {port}", answer["sdp"])
            return {**answer, "sdp": sdp}

        async def candidates(request):
            return None

        async with serving(Wrapped(side.supervisor, offer=offer, candidates=candidates)) as url:
            stages = await told_by(url)
    assert (stages["offer"].verdict, stages["ice"].verdict) == (Mark.OK, Mark.FAIL)
    assert f"the server offered host {LOOPBACK}" in stages["ice"].detail
    assert stages["dtls"].detail == "DTLS skipped: needs ICE"


async def test_relay_only_without_a_relay_to_use_is_said_in_its_stage():
    async with answering(echo) as side, serving(side.supervisor) as url:
        stages = await told_by(url, policy="relay")
    assert stages["offer"].verdict is Mark.FAIL
    assert "needs a TURN server" in stages["offer"].detail
