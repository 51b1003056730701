"""What is measured on calls of this process."""

import pytest
from aiortc import RTCSctpTransport
from calls import answering, dialed, idle_bot
from narrow_path import measured as probed
from narrow_path import narrow_path, pair

from smallrtc_cli.commands.probe_mtu import measure as measuring
from smallrtc_cli.commands.probe_mtu.findings import NoChannel, Verdict
from smallrtc_cli.commands.probe_mtu.measure import channel_open, measure
from smallrtc_cli.commands.probe_mtu.options import Present
from smallrtc_cli.errors import CouldNotConnect
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.rtc.sctp_receiver import SctpReceiver

PRESENT = Present(1100, None)


class Told:
    """The events that a measurement tells."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, event: str, **detail: object) -> None:
        self.names.append(event)


async def test_both_directions_are_measured_and_two_sizes_compared():
    told = Told()
    with narrow_path(1280):
        async with pair() as (connection, _):
            found = await measure(connection, PRESENT, told, confirm=2)
    assert (found.up.chunk, found.down.chunk, found.advised, found.verdict) == (1184, 1184, 1184, Verdict.FOUND)
    assert [speed.chunk for speed in found.speeds] == [1184, 1100]
    assert all(speed.acknowledged > 0 for speed in found.speeds)
    assert told.names == ["connected", "up", "up", "down", "speed", "speed"]


async def test_a_present_size_that_does_not_pass_is_seen_to_stall():
    with narrow_path(1280):
        async with pair() as (connection, _):
            found = await measure(connection, Present(1200, "--sctp-chunk"), Told())
    assert [(speed.chunk, speed.acknowledged > 0) for speed in found.speeds] == [(1184, True), (1200, False)]


async def test_the_present_size_is_measured_once_where_it_is_the_largest():
    with narrow_path(1280):
        async with pair() as (connection, _):
            found = await measure(connection, Present(1184, "--sctp-chunk"), Told())
    assert [speed.chunk for speed in found.speeds] == [1184]


async def test_another_side_that_tells_nothing_is_not_measured_further(monkeypatch):
    monkeypatch.setattr(measuring, "FAR_SIDE", 0.1)
    async with pair() as (connection, other):
        monkeypatch.setattr(other, "_answer_path", lambda: None)
        found = await measure(connection, PRESENT, Told())
    assert (found.down, found.speeds, found.verdict) == (None, (), Verdict.FOUND)


async def test_a_path_that_carries_next_to_nothing_is_below():
    with narrow_path() as path:
        async with pair() as (connection, other):
            await probed(connection, other)
            path.mtu = 500
            found = await measure(connection, PRESENT, Told())
    assert (found.verdict, found.advised) == (Verdict.BELOW, None)


async def test_a_channel_that_is_held_up_by_the_other_side_is_not_the_paths_fault(monkeypatch):
    monkeypatch.setattr(measuring, "ACKNOWLEDGED", 0.3)

    async with pair() as (connection, other):
        await probed(connection, other)
        monkeypatch.setattr(SctpReceiver, "acknowledgement", lambda self, room: None)
        found = await measure(connection, PRESENT, Told())
    assert (found.verdict, found.up.chunk is not None) == (Verdict.STALLED, True)


async def test_where_sctp_does_not_come_up_the_path_is_measured_all_the_same(monkeypatch):
    monkeypatch.setattr(measuring, "CHANNEL", 0.5)

    async def deaf(self: RTCSctpTransport, chunk: object) -> None:
        """In the place of all that SCTP does."""

    monkeypatch.setattr(RTCSctpTransport, "_receive_chunk", deaf)
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        with pytest.raises(NoChannel, match=r"SCTP was not established within 0\.5 s; 1525 bytes pass, so the MTU is"):
            await channel_open(connection)


async def test_a_connection_that_ends_before_its_channel_is_open_could_not_connect(monkeypatch):
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        await connection.close(CloseReason.PEER_CLOSED)
        monkeypatch.setattr(measuring, "_has_channel", lambda _: False)
        with pytest.raises(CouldNotConnect, match="ended before its data channel was open"):
            await channel_open(connection)
