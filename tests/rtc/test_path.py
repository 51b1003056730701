"""The probe on real connections of this process, over a path that drops what is too long."""

import asyncio
import errno
import socket

import pytest
from aioice import stun
from aiortc import rtcsctptransport
from calls import answering, dialed, holdings, idle_bot, until
from ice_services import Coturn
from narrow_path import measured, narrow_path, pair

from smallrtc_cli.config import PathMtu, Settings
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.mtu import Finding, Outcome
from smallrtc_cli.protocol.packet_sizes import LARGEST_CHUNK, Layers
from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc import ice
from smallrtc_cli.rtc.dialer import DialOptions
from smallrtc_cli.rtc.path import Limit, PathReport, limit_of, padded_request
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.wire import Wire

pytestmark = pytest.mark.usefixtures("loopback_only")

NO_PROBE = Settings(path_mtu=PathMtu(sctp_chunk=1000))
"Nothing is probed but what a test asks for."


def report_of(found: Finding, known_mtu: int | None = None, layers: Layers | None = None) -> PathReport:
    layers = layers or Layers()
    return PathReport(found, layers, "sctp", limit_of(found, layers, known_mtu), None, known_mtu, 0.01)


def finding(largest: int | None, refused: int | None = None, *, local: bool = False) -> Finding:
    return Finding(Outcome.FOUND, largest, refused, refused is not None, local, 20, 0.1)


@pytest.mark.parametrize(("mtu", "chunk", "called"), [(1500, 1404, 1500), (1280, 1184, 1280), (900, 804, 897)])
async def test_what_a_path_carries_is_found_exactly(mtu, chunk, called):
    with narrow_path(mtu):
        async with pair(NO_PROBE) as (connection, _):
            report = await connection.probe_path()
            assert (report.chunk, report.finding.refused, report.finding.exact) == (chunk, chunk + 4, True)
            assert (report.mtu, report.refused_ip_packet) == (called, report.ip_packet + 4)
            assert (report.method, report.limit, report.pieces_pass) == ("sctp", Limit.BLACK_HOLE, False)
            assert report.layers == Layers(4, None)


async def test_a_path_without_a_limit_is_found_with_one_round_of_probes():
    async with pair(NO_PROBE) as (connection, _):
        report = await connection.probe_path()
        assert (report.chunk, report.limit, report.pieces_pass) == (LARGEST_CHUNK, Limit.NONE, None)
        assert report.finding.probes < 50


async def test_a_path_over_ipv6_is_measured_as_one(monkeypatch):
    monkeypatch.setattr(ice, "own_addresses", lambda: ["::1"])
    async with pair(NO_PROBE) as (connection, _):
        report = await connection.probe_path()
        assert (report.chunk, report.layers.family) == (LARGEST_CHUNK, 6)
        assert report.known_mtu >= 65_535


async def test_a_peer_that_refuses_pad_chunks_is_asked_by_stun(monkeypatch):
    parse = rtcsctptransport.parse_packet

    def strict(data: bytes):
        if data[rtcsctptransport.SCTP_COMMON_HEADER_LENGTH + 16 :][:1] == b"\x84":
            raise ValueError("unknown chunk")
        return parse(data)

    monkeypatch.setattr(rtcsctptransport, "parse_packet", strict)
    with narrow_path(1280):
        async with pair(NO_PROBE) as (connection, _):
            report = await connection.probe_path()
            assert report.method == "stun"
            assert report.chunk in (1180, 1184)
            assert connection.peer.agent.nominated_pair().protocol.transactions == {}


async def test_probes_have_no_part_in_the_association_and_leave_the_socket_as_it_was():
    with narrow_path(1280):
        async with pair(NO_PROBE) as (connection, _):
            sctp, wire = connection.pc.sctp, Wire.of(connection.peer.agent.nominated_pair())
            await until(lambda: not internals.unacknowledged(sctp))
            before = [sctp._local_tsn, sctp._last_sacked_tsn, sctp._cwnd, sctp._flight_size, sctp._last_received_tsn]
            options = wire.socket.getsockopt(socket.IPPROTO_IP, 10)
            methods = dict(sctp.__dict__)
            await connection.probe_path()
            assert [
                sctp._local_tsn, sctp._last_sacked_tsn, sctp._cwnd, sctp._flight_size, sctp._last_received_tsn
            ] == before  # fmt: skip
            assert wire.socket.getsockopt(socket.IPPROTO_IP, 10) == options
            assert sctp.__dict__.keys() == methods.keys()
            wire.close()


async def test_two_that_ask_at_once_share_one_probe():
    async with pair(NO_PROBE) as (connection, _):
        one, other = await asyncio.gather(connection.probe_path(), connection.probe_path())
        assert one is other


async def test_both_ends_may_probe_at_once():
    with narrow_path(1280):
        async with pair(NO_PROBE) as ends:
            reports = await asyncio.gather(*(end.probe_path() for end in ends))
            assert [report.chunk for report in reports] == [1184, 1184]


async def test_our_own_interface_caps_the_search_at_once(monkeypatch):
    send = Wire._send_one

    def refuse(self: Wire, datagram: bytes) -> None:
        if len(datagram) + 28 > 1280:
            raise OSError(errno.EMSGSIZE, "Message too long")
        send(self, datagram)

    monkeypatch.setattr(Wire, "_send_one", refuse)
    async with pair(NO_PROBE) as (connection, _):
        report = await connection.probe_path()
        assert (report.chunk, report.limit, report.finding.exact) == (1184, Limit.LOCAL, True)


async def test_a_packet_longer_than_the_path_that_arrives_in_pieces_is_told(monkeypatch):
    whole = Wire.send_whole

    def refuse(self: Wire, datagrams: list[bytes]) -> int | None:
        return whole(self, [d for d in datagrams if len(d) + 28 <= 1280])

    monkeypatch.setattr(Wire, "send_whole", refuse)  # a black hole for whole packets only
    async with pair(NO_PROBE) as (connection, _):
        report = await connection.probe_path()
        assert (report.chunk, report.pieces_pass) == (1184, True)


async def test_a_connection_that_ends_ends_its_probe_and_leaves_nothing():
    before = holdings()
    with narrow_path(1280):
        async with pair(NO_PROBE) as (connection, _):
            probing = asyncio.create_task(connection.probe_path())
            await asyncio.sleep(0)
            await connection.disconnect()
            with pytest.raises(ConnectionEnded):
                await asyncio.wait_for(probing, 10)
            with pytest.raises(ConnectionEnded):
                await connection.probe_path()
    del connection, probing, _
    await until(lambda: holdings() == before, 20)


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
async def test_a_path_through_a_relay_is_measured_with_what_the_relay_adds(coturn: Coturn, monkeypatch, kind):
    monkeypatch.setenv("SSL_CERT_FILE", str(coturn.certificate))
    options = DialOptions(
        ice_servers=[coturn.ice_server(kind)],
        ice_transport_policy="relay",
        media=MediaOptions(video=False),
        wait_for_ice_gathering=True,
    )
    async with answering(idle_bot) as server, dialed(server.supervisor, options) as (_, connection):
        await until(lambda: connection.peer.path is not None, 20)
        report = await connection.probe_path()
        assert report.layers == Layers(4, kind)
        assert report.chunk == LARGEST_CHUNK
        assert connection.peer.path.chunk == LARGEST_CHUNK


# What is said of a path


@pytest.mark.parametrize(
    ("found", "known_mtu", "limit"),
    [
        (finding(1432), 65_536, Limit.NONE),
        (finding(1184, 1188, local=True), 1280, Limit.LOCAL),
        (finding(1184, 1188), 1280, Limit.ICMP),
        (finding(1184, 1188), 1500, Limit.BLACK_HOLE),
        (finding(1184, 1188), None, Limit.BLACK_HOLE),
        (finding(1184, 1188), 1281, Limit.BLACK_HOLE),
        (finding(None, 480), 1500, Limit.BLACK_HOLE),
    ],
)
def test_the_cause_of_a_limit_is_what_was_seen_and_not_what_the_system_believes(found, known_mtu, limit):
    assert limit_of(found, Layers(), known_mtu) is limit


def test_an_mtu_has_the_name_that_people_know():
    assert report_of(finding(1404, 1408), 1500).mtu == 1500
    assert report_of(finding(1184, 1188), 1500).mtu == 1280
    assert report_of(finding(1188, 1192), 1283).mtu == 1283
    assert report_of(finding(1188, 1192), 1500).mtu == 1281
    assert report_of(finding(1432), 65_536).mtu == 1525
    assert report_of(finding(None, 480)).mtu is None


@pytest.mark.parametrize("length", [60, 200, 201, 202, 203, 1500])
def test_a_padded_request_has_its_length_and_its_signature(length):
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = "one:other"
    data = padded_request(request, "secret", length // 4 * 4)
    assert len(data) == max(length // 4 * 4, 68)
    parsed = stun.parse_message(data)
    assert parsed.transaction_id == request.transaction_id
    assert parsed.check_message_integrity(b"secret")
    assert not parsed.check_message_integrity(b"other")


async def test_every_connection_measures_its_path_by_itself_once_it_is_up():
    with narrow_path(1280):
        async with pair() as ends:
            await measured(*ends)
            assert [end.peer.path.chunk for end in ends] == [1184, 1184]
