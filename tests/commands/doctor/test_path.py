from dataclasses import replace

import pytest
from calls import answering, dialed, idle_bot
from narrow_path import narrow_path

from smallrtc_cli.commands.doctor.bounds import Tried
from smallrtc_cli.commands.doctor.path import Probed, judge, path_stage
from smallrtc_cli.config import PathMtu, Settings
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.mtu import Finding, Outcome
from smallrtc_cli.protocol.packet_sizes import Layers
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.path import Limit, PathReport


def report(mtu: int, limit: Limit = Limit.BLACK_HOLE, *, pieces: bool = False) -> PathReport:
    chunk = Layers().largest_chunk(mtu)
    finding = Finding(Outcome.FOUND, chunk, chunk + 4, exact=True, local=False, probes=50, seconds=0.1)
    return PathReport(finding, Layers(), "sctp", limit, pieces, 1500, 0.001)


def judged(found: PathReport, chunk: int | None = None):
    return judge(Tried(Probed(found, found.chunk if chunk is None else chunk), None, 0.1))


@pytest.mark.parametrize(("mtu", "verdict"), [(1500, Mark.OK), (1280, Mark.OK), (1200, Mark.WARN)])
def test_a_path_below_the_least_of_ipv6_is_a_warning(mtu, verdict):
    stage = judged(report(mtu))
    assert stage.verdict is verdict
    assert bool(stage.cure) is (verdict is Mark.WARN)
    assert stage.detail.startswith(f"the path MTU is {mtu} (a black hole")
    assert stage.detail.endswith(f", chunk {Layers().largest_chunk(mtu)}")


@pytest.mark.parametrize(
    ("limit", "pieces", "verdict"),
    [(Limit.BLACK_HOLE, True, Mark.FAIL), (Limit.ICMP, True, Mark.WARN), (Limit.ICMP, False, Mark.FAIL)],
)
def test_chunks_that_are_set_too_long_stall_where_nobody_cuts_them(limit, pieces, verdict):
    stage = judged(report(1280, limit, pieces=pieces), chunk=1200)
    assert (stage.verdict, "1184 passes" in stage.cure) == (verdict, True)


def test_a_path_that_carries_next_to_nothing_fails():
    found = report(1280)
    below = replace(found, finding=replace(found.finding, outcome=Outcome.BELOW, largest=None))
    assert judged(below, chunk=460).verdict is Mark.FAIL
    assert judged(replace(below, method="stun"), chunk=1104).verdict is Mark.OK


def test_without_an_answer_in_time_nothing_is_claimed():
    assert judge(Tried(None, TimeoutError(), 2.0)).verdict is Mark.SKIPPED
    assert judge(Tried(None, ConnectionEnded("gone"), 0.1)).verdict is Mark.WARN


@pytest.mark.parametrize(("mtu", "chunk", "verdict"), [(1280, None, Mark.OK), (1280, 1400, Mark.FAIL)])
async def test_the_path_of_a_call_is_measured_and_held_against_the_chunks_in_use(mtu, chunk, verdict):
    settings = Settings(path_mtu=PathMtu(sctp_chunk=chunk))
    with narrow_path(mtu):
        async with answering(idle_bot) as server:
            async with dialed(server.supervisor, settings=settings) as (_, connection):
                stage = await path_stage(connection)
    assert (stage.name, stage.verdict) == ("mtu", verdict)
    assert f"chunk {chunk or 1184}" in stage.detail
