"""Why there is no connection: each cause by value, and the common ones on real calls that fail."""

import asyncio
import json
import logging
import re
from dataclasses import replace

import pytest
from calls import AUDIO_ONLY, NO_REDIAL, answering, dialed, holdings, idle_bot, until
from sdp_offers import CHROMIUM
from udp_ports import LOOPBACK, free_range

from smallrtc_cli.config import Settings, Timing
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import SmallWebRTCRequest
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.diagnosis import Cause, Diagnosis, End, Evidence, NoConnection, Tried, diagnose
from smallrtc_cli.rtc.dialer import Dialer

HASTY = Settings(timing=Timing(connect_timeout=0.4))

HOME, OFFICE = End("host", "192.168.1.5", 1), End("host", "10.1.2.3", 2)
CLOUD, MAPPED = End("host", "35.190.1.2", 3), End("srflx", "81.2.69.160", 4)
RELAY, LOCAL_NAME = End("relay", "35.190.1.9", 5), End("host", "6a1c.local", 6)
IPV6, ITSELF = End("host", "2a00:1450::5", 7), End("host", "127.0.0.1", 8)
TCP = End("host", "192.168.1.9", 9, "tcp")
LATE = Tried(HOME, OFFICE, "succeeded")


def evidence(local=(HOME,), remote=(OFFICE,), state: str = "in-progress", **more) -> Evidence:
    """What two sides know when every pair was tried and nothing was heard."""
    pairs = [Tried(a, b, state) for a in local for b in remote if a.family == b.family and b.transport == "udp"]
    return Evidence(local=local, remote=remote, **{"pairs": pairs} | more)


CASES = {
    Cause.WENT_SILENT: evidence(was_connected=True),
    Cause.DTLS_REFUSED: evidence(dtls="failed", selected=Tried(HOME, OFFICE, "succeeded")),
    Cause.DTLS_SILENT: evidence(dtls="connecting", selected=Tried(HOME, OFFICE, "succeeded")),
    Cause.NO_RELAY: evidence(local=(), relay_only=True, server_errors={"turn:t": "401 - Unauthorized"}),
    Cause.NOTHING_OFFERED_HERE: evidence(local=(), host_errors={"10.0.0.1": "all UDP ports are in use"}),
    Cause.NOTHING_OFFERED_THERE: evidence(remote=()),
    Cause.TCP_ONLY: evidence(remote=(TCP,)),
    Cause.NAMES_UNRESOLVED: evidence(remote=(LOCAL_NAME, TCP)),
    Cause.FAMILIES_DIFFER: evidence(remote=(IPV6,)),
    Cause.NO_PAIR: evidence(local=(RELAY,), remote=(LOCAL_NAME,), relay_only=True, resolved=frozenset({"6a1c.local"})),
    Cause.STRANGE_CHECKS: evidence(requests_heard=3),
    Cause.NOT_CHOSEN: evidence(state="succeeded", responses_heard=1, requests_heard=1, checks_heard=1),
    Cause.ONE_WAY: evidence(requests_heard=2, checks_heard=2),
    Cause.CANNOT_SEND: evidence(send_errors=["Network is unreachable"]),
    Cause.LOOPBACK_ONLY: evidence(remote=(ITSELF,)),
    Cause.SAME_NETWORK: evidence(remote=(End("host", "192.168.1.77"),)),
    Cause.PRIVATE_ONLY: evidence(),
    Cause.PRIVATE_HERE: evidence(remote=(OFFICE, MAPPED)),
    Cause.UDP_BLOCKED: evidence(local=(HOME, CLOUD), remote=(OFFICE, MAPPED)),
}


def test_every_cause_has_a_case():
    assert set(CASES) == set(Cause)


@pytest.mark.parametrize("cause", CASES)
def test_a_cause_is_found_with_a_sentence_and_a_cure(cause):
    found = diagnose(CASES[cause])
    assert found.cause is cause
    for sentence in (found.sentence, found.hint):
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (evidence(remote=(LOCAL_NAME,)), "only mDNS names (`6a1c.local`) that cannot be resolved here"),
        (evidence(remote=(IPV6,)), "this side has IPv4 only, and the client has IPv6 only"),
        (evidence(remote=(IPV6,), other="server"), "the server has IPv6 only"),
        (evidence(), "only private addresses on both sides"),
        (evidence(remote=(End("host", "192.168.1.77"),)), "both sides are in 192.168.1.0/24"),
        (evidence(local=(CLOUD,), remote=(OFFICE, MAPPED)), "none of 2 checks was answered"),
        (evidence(send_errors=["Network is unreachable"]), "would not send: network is unreachable"),
        (evidence(local=(), relay_only=True), "relay only, and no TURN server gave a relay"),
        (evidence(state="succeeded", selected=LATE), "host 10.1.2.3), only since ICE has given up"),
    ],
)
def test_the_sentence_names_what_it_is_about(given, words):
    assert words in diagnose(given).sentence


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (evidence(), "TURN"),
        (evidence(), "--public-ip"),
        (evidence(local=(CLOUD,), remote=(MAPPED,)), "--udp-ports"),
        (evidence(local=(), host_errors={"x": "y"}), "--interface"),
        (evidence(local=(CLOUD, RELAY), remote=(MAPPED,)), "relay does not reach the client"),
    ],
)
def test_the_hint_says_what_to_do(given, words):
    assert words in diagnose(given).hint


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (evidence(remote=(LOCAL_NAME,), resolved=frozenset({"6a1c.local"})), Cause.NO_PAIR),
        (evidence(remote=(LOCAL_NAME, OFFICE)), Cause.PRIVATE_ONLY),
        (evidence(remote=(), requests_heard=1, checks_heard=1), Cause.ONE_WAY),
        (evidence(remote=(LOCAL_NAME,), requests_heard=1, checks_heard=1), Cause.ONE_WAY),
        # ICE had given up, and then a check came and chose a pair: that is no connection.
        (evidence(remote=(), checks_heard=1, responses_heard=1, selected=LATE), Cause.NOTHING_OFFERED_THERE),
        (evidence(state="succeeded", checks_heard=1, responses_heard=1, selected=LATE), Cause.NOT_CHOSEN),
        (evidence(local=(HOME, IPV6), remote=(IPV6,)), Cause.UDP_BLOCKED),
        (evidence(local=(ITSELF,), remote=(ITSELF,)), Cause.LOOPBACK_ONLY),
        # Two machines with the same Docker bridge are in no common network.
        (evidence(local=(End("host", "172.17.0.1"),), remote=(End("host", "172.17.0.1"),)), Cause.PRIVATE_ONLY),
        (evidence(local=(End("host", "100.64.0.5"),), remote=(OFFICE,)), Cause.PRIVATE_ONLY),  # carrier-grade NAT
        (evidence(local=(HOME, MAPPED), remote=(OFFICE,)), Cause.UDP_BLOCKED),
    ],
)
def test_causes_that_look_alike_are_told_apart(given, cause):
    assert diagnose(given).cause is cause


def test_the_facts_say_what_each_side_offered_what_was_tried_and_what_the_servers_said():
    given = evidence(remote=(OFFICE, LOCAL_NAME), servers=["stun:s"], server_errors={"stun:s": "no answer"})
    assert diagnose(given).facts == (
        "this side offered host 192.168.1.5",
        "the client offered host 10.1.2.3, host 6a1c.local",
        "not resolved here: 6a1c.local",
        "1 pair: 1 no answer yet",
        "tried host 192.168.1.5 → host 10.1.2.3",
        "0 answers to our checks, 0 checks of the client, DTLS new",
        "asked stun:s",
        "stun:s: no answer",
    )


def test_a_long_list_is_cut_and_counted():
    many = tuple(End("host", f"10.0.{n}.1") for n in range(20))
    assert "10.0.5.1 and 14 more" in diagnose(evidence(remote=many)).facts[1]


def test_a_diagnosis_can_be_json_and_text():
    found = diagnose(evidence())
    assert json.loads(json.dumps(found.to_dict())) == {
        "cause": "private-only",
        "sentence": found.sentence,
        "hint": found.hint,
        "facts": list(found.facts),
    }
    assert str(found).splitlines()[0] == found.sentence
    assert str(found).splitlines()[-1] == f"  hint: {found.hint}"


# Real calls that fail


class Changed:
    """An exchange whose offers and answers are changed on their way."""

    def __init__(self, inner, offer=lambda sdp: sdp, answer=lambda sdp: sdp):
        self.inner, self.change_offer, self.change_answer = inner, offer, answer

    async def offer(self, request):
        answer = await self.inner.offer(replace(request, sdp=self.change_offer(request.sdp)))
        return {**answer, "sdp": self.change_answer(answer["sdp"])}

    async def candidates(self, request):
        return None


def without_candidates(sdp: str) -> str:
    return re.sub(r"a=(candidate|end-of-candidates)[^\n]*\n", "", sdp)


def with_candidate(line: str):
    """Replace all candidates of a description by one, in each section."""
    return lambda sdp: re.sub(
        r"(a=ice-ufrag)", rf"a=candidate:1 1 udp 2130706431 {line} typ host\r\n\1", without_candidates(sdp)
    )


async def fail(server, offer=without_candidates, answer=without_candidates) -> tuple[Diagnosis, Diagnosis]:
    """Dial in vain; what the dialing and the answering side have to say."""
    options = replace(AUDIO_ONLY, connect_timeout=0.4)
    with pytest.raises(NoConnection) as caught:
        await Dialer(Changed(server.supervisor, offer, answer), options, settings=NO_REDIAL).dial()
    await asyncio.wait_for(server.connection.wait_closed(), 10)
    assert caught.value.diagnosis.sentence in str(caught.value)
    assert caught.value.hint == caught.value.diagnosis.hint
    return caught.value.diagnosis, server.connection.diagnosis()


async def test_both_sides_say_that_the_other_offered_nothing(loopback_only):
    async with answering(idle_bot, HASTY) as server:
        here, there = await fail(server)
    assert (here.cause, there.cause) == (Cause.NOTHING_OFFERED_THERE,) * 2
    assert here.sentence == "the server offered no candidates"
    assert there.sentence == "the client offered no candidates"


async def test_a_name_that_nobody_answers_for_is_what_the_server_complains_of(loopback_only):
    async with answering(idle_bot, HASTY) as server:
        _, there = await fail(server, offer=with_candidate("5b9e1d1c-0000-4000-8000-000000000001.local 9"))
    assert there.cause is Cause.NAMES_UNRESOLVED
    assert "5b9e1d1c-0000-4000-8000-000000000001.local" in there.sentence


async def test_checks_without_an_answer_are_listed(loopback_only):
    dead = free_range(1)[0]
    async with answering(idle_bot, HASTY) as server:
        _, there = await fail(server, offer=with_candidate(f"{LOOPBACK} {dead}"))
    assert there.cause is Cause.LOOPBACK_ONLY
    assert f"tried host {LOOPBACK} → host {LOOPBACK}" in there.facts
    assert "1 pair: 1 no answer yet" in there.facts


async def test_the_other_ip_version_is_named(loopback_only):
    async with answering(idle_bot, HASTY) as server:
        _, there = await fail(server, offer=with_candidate("2001:db8::5 9"))
    assert there.cause is Cause.FAMILIES_DIFFER
    assert there.sentence == "this side has IPv4 only, and the client has IPv6 only"


async def test_an_answer_to_another_offer_is_found_out(loopback_only):
    def forge(sdp: str) -> str:
        return re.sub(r"a=ice-pwd:[^\r]*", f"a=ice-pwd:{'x' * 22}", sdp)

    async with answering(idle_bot, HASTY) as server:
        _, there = await fail(server, offer=str, answer=forge)
    assert there.cause is Cause.STRANGE_CHECKS


async def test_a_wrong_fingerprint_is_dtls(loopback_only):
    def forge(sdp: str) -> str:
        return re.sub(r"(a=fingerprint:\S+ )(..)", lambda m: m[1] + ("11" if m[2] == "00" else "00"), sdp)

    async with answering(idle_bot, HASTY) as server:
        with pytest.raises(NoConnection, match="ICE connected, but the DTLS handshake failed") as caught:
            await Dialer(Changed(server.supervisor, answer=forge), AUDIO_ONLY, settings=NO_REDIAL).dial()
    assert caught.value.diagnosis.cause is Cause.DTLS_REFUSED


async def test_the_diagnosis_is_there_when_the_handler_hears_of_it_and_logged_once(loopback_only, caplog):
    caplog.set_level(logging.WARNING, "smallrtc_cli")
    connection, told = SmallWebRTCConnection(connection_timeout_secs=0.2), asyncio.Event()
    seen = []
    connection.add_event_handler("closed", lambda c: (seen.append(c.diagnosis()), told.set()))
    await connection.initialize(without_candidates(CHROMIUM), "offer")
    await connection.connect()
    assert connection.diagnosis().cause is Cause.NOTHING_OFFERED_THERE  # so far
    await asyncio.wait_for(told.wait(), 10)
    assert connection.close_reason is CloseReason.CONNECT_TIMEOUT
    assert seen == [connection.diagnosis()]
    (record,) = [r for r in caplog.records if "offered no candidates" in r.getMessage()]
    assert "hint:" in record.getMessage()
    await connection.close()


async def test_a_call_that_stands_needs_no_diagnosis_and_one_that_ends_well_neither(loopback_only):
    async with answering(idle_bot) as server:
        async with dialed(server.supervisor) as (_, connection):
            assert connection.diagnosis() is None
            await until(server.connection.is_connected)
            assert server.connection.diagnosis() is None
        await asyncio.wait_for(server.connection.wait_closed(), 10)
        assert server.connection.diagnosis() is None
    assert connection.diagnosis() is None


async def test_a_call_that_failed_leaves_nothing(loopback_only):
    before = holdings()
    async with answering(idle_bot, HASTY) as server:
        await fail(server)
        await server.supervisor.offer(SmallWebRTCRequest(CHROMIUM, "offer"))
    await until(lambda: holdings() == before)
