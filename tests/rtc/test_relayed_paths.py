"""Calls over paths with a limit, a delay and losses, on any machine: the rootless relay, and what runs through it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from calls import AUDIO_ONLY, NO_REDIAL, Mailbox, answering, dialed, until
from path_relay import End, Link, PathRelay, path_relay, redirected

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Timing
from smallrtc_cli.rtc.path import Limit, PathReport
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

PEER = ("127.0.0.1", 9)
OPTIONS = replace(AUDIO_ONLY, connect_timeout=30)
PATIENT = replace(NO_REDIAL, timing=Timing(lost_after=20, close_after=40, drain_timeout=0.05))
"A busy machine with a slow path in it is no lost client."


def end(link: Link, seed: int = 1) -> End:
    made = End(link, seed)
    made.peer = PEER
    made.socket.close()
    return made


def fates(link: Link, seed: int, sizes: list[int]) -> list[float | None]:
    """When packets leave that come one each millisecond."""
    made = end(link, seed)
    return [made.due(size, PEER, number / 1000) for number, size in enumerate(sizes)]


# The relay, by value


def test_a_packet_passes_if_it_is_no_longer_than_the_limit_with_its_headers():
    link = Link(mtu=1280)
    assert fates(link, 1, [1252, 1253]) == [0.0, None]


def test_packets_of_nobody_known_are_strays():
    made = end(Link())
    assert made.due(100, ("127.0.0.1", 10), 0.0) is None
    assert made.counts == {"stray": 1}


def test_a_delay_holds_each_packet_for_as_long():
    assert fates(Link(delay=0.15), 1, [100, 1472]) == [0.15, 0.001 + 0.15]


def test_jitter_keeps_the_order():
    times = fates(Link(delay=0.05, jitter=0.02), 1, [100] * 500)
    assert times == sorted(times)
    assert len({round(time, 4) for time in times}) > 50


def test_the_losses_of_a_seed_are_the_same_each_time_and_their_share_is_that_of_the_link():
    link = Link(loss=0.15)
    first, again, other = (fates(link, seed, [100] * 2000) for seed in (1, 1, 2))
    assert first == again != other
    assert 0.12 < first.count(None) / 2000 < 0.18


def test_what_is_lost_does_not_depend_on_the_sizes_before():
    link = Link(mtu=1000, loss=0.3)
    small, mixed = fates(link, 1, [100] * 200), fates(link, 1, [1400, 100] * 100)
    assert [each is None for each in small[1::2]] == [each is None for each in mixed[1::2]]


def test_a_redirected_description_has_one_candidate_in_each_section_that_had_some():
    sdp = "".join(
        f"{line}\r\n"
        for line in [
            "v=0",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            "a=candidate:1 1 udp 2130706431 fd00::1 5000 typ host",
            "a=candidate:2 1 udp 2130706431 10.0.0.1 5001 typ host",
            "a=end-of-candidates",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "a=candidate:2 1 udp 2130706431 10.0.0.1 5001 typ host",
        ]
    )
    changed, known = redirected(sdp, ("127.0.0.1", 7))
    only = "a=candidate:1 1 udp 2130706431 127.0.0.1 7 typ host"
    assert known == ("10.0.0.1", 5001)
    assert changed.splitlines()[2:4] == [only, "a=end-of-candidates"]
    assert changed.splitlines()[5:] == [only]


# Calls through it


@contextlib.asynccontextmanager
async def relayed_call(link: Link, seed: int = 1) -> AsyncIterator[tuple[PathRelay, SmallWebRTCTransport]]:
    """A call to an echo bot on such a path."""
    with path_relay(link, seed) as relay:
        async with (
            answering(echo, PATIENT) as server,
            dialed(relay.through(server.supervisor), OPTIONS, PATIENT) as (_, connection),
        ):
            yield relay, SmallWebRTCTransport(connection)


async def says_back(transport: SmallWebRTCTransport, size: int) -> None:
    mailbox, message = Mailbox(transport), {"big": "x" * size}
    await transport.send_message(message)
    assert await mailbox.next(30) == message


async def test_a_call_runs_wholly_through_the_relay():
    async with relayed_call(Link()) as (relay, transport):
        await says_back(transport, 100_000)
        ends = (relay.caller, relay.callee)
        assert [side.counts["passed"] > 90 for side in ends] == [True, True]
        assert transport.connection.peer.agent.nominated_pair().remote_addr == relay.caller.address


async def found(transport: SmallWebRTCTransport) -> PathReport:
    connection = transport.connection
    await until(lambda: connection.peer.path is not None)
    return await connection.probe_path()


@pytest.mark.parametrize(("mtu", "chunk"), [(1500, 1404), (1280, 1184), (1239, 1144), (900, 804)])
async def test_the_limit_of_a_path_is_found_and_a_long_message_passes_with_no_option_given(mtu, chunk):
    async with relayed_call(Link(mtu=mtu)) as (_, transport):
        report = await found(transport)
        assert (report.chunk, report.finding.exact, report.limit) == (chunk, True, Limit.BLACK_HOLE)
        await says_back(transport, 100_000)


@pytest.mark.parametrize(("percent", "least"), [(0, 1184), (15, 1144)])
async def test_on_a_slow_path_with_losses_nothing_too_long_is_taken_to_pass(percent, least):
    async with relayed_call(Link(mtu=1280, delay=0.15, jitter=0.003, loss=percent / 100), seed=5) as (relay, transport):
        report = await found(transport)
        assert least <= report.chunk <= 1184
        assert relay.caller.counts["too_long"] > 0
        assert (relay.caller.counts["lost"] > 0) == (percent > 0)


async def test_a_message_gets_through_a_path_that_has_become_smaller_during_the_call():
    async with relayed_call(Link()) as (relay, transport):
        await says_back(transport, 20_000)
        relay.change(Link(mtu=1000))
        await says_back(transport, 20_000)
        assert relay.caller.counts["too_long"] > 0
