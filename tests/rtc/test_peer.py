"""One peer connection: errors that name their cause, late candidates, a machine without a network, its close."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from calls import AUDIO_ONLY, Mailbox, answering, dialed, holdings, until
from ice_services import MAPPED, StunService

from smallrtc_cli.bots.echo import echo
from smallrtc_cli.config import Ice, Settings
from smallrtc_cli.errors import CouldNotConnect
from smallrtc_cli.rtc import peer as peer_module
from smallrtc_cli.rtc.audio_sender import AudioSender
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

NEVER = 3600.0
TESTS = Path(__file__).resolve().parents[1]


class Listener(SmallWebRTCConnection):
    """A connection that writes down which candidates a peer tells."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.told: list[str | None] = []
        self.ended = asyncio.Event()

    def candidate_found(self, peer: Peer, candidate) -> None:
        self.told.append(candidate and candidate.type)
        if candidate is None:
            self.ended.set()


def patient(**ice: float) -> Settings:
    return Settings(ice=Ice(**{"gather_timeout": NEVER, "trickle_timeout": NEVER} | ice))


async def call_and_hear_back() -> None:
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"n": 1})
        assert await mailbox.next() == {"n": 1}


async def test_a_trickling_offer_goes_out_at_once_without_an_end_of_candidates(stun_service: StunService):
    connection = Listener([stun_service.server.url], settings=patient())
    peer = connection.new_peer(trickles=True)
    sdp = await peer.offer(AUDIO_ONLY.media)
    assert "typ host" in sdp
    assert MAPPED[0] not in sdp
    assert "a=end-of-candidates" not in sdp
    await asyncio.wait_for(connection.ended.wait(), 5)
    assert set(connection.told[:-1]) == {"srflx"}
    assert connection.told[-1] is None
    await peer.close()


async def test_an_offer_that_waits_holds_all_candidates_and_says_that_they_are_all(stun_service: StunService):
    connection = Listener([stun_service.server.url], settings=patient())
    peer = connection.new_peer()
    sdp = await asyncio.wait_for(peer.offer(AUDIO_ONLY.media), 5)
    assert MAPPED[0] in sdp
    assert "a=end-of-candidates" in sdp
    assert connection.told == []
    await peer.close()


@pytest.mark.parametrize("trickles", [True, False])
async def test_a_silent_server_holds_up_neither_the_offer_nor_the_close(silent_service: StunService, trickles):
    before = holdings()
    connection = Listener([silent_service.server.url], settings=patient(gather_timeout=0.05))
    peer = connection.new_peer(trickles=trickles)
    sdp = await asyncio.wait_for(peer.offer(AUDIO_ONLY.media), 5)
    assert "typ host" in sdp
    assert peer.agent.trickling
    await asyncio.wait_for(peer.close(), 5)
    assert connection.told == []
    del peer
    await until(lambda: holdings() == before)


async def test_relay_only_with_a_silent_server_names_it(silent_service: StunService):
    before = holdings()
    server = IceServer(silent_service.turn_server.url, "u", "secret")
    settings = Settings(ice=Ice(trickle_timeout=0.1))
    connection = SmallWebRTCConnection([server], ice_transport_policy="relay", settings=settings)
    peer = connection.new_peer(trickles=True)
    with pytest.raises(CouldNotConnect) as refused:
        await asyncio.wait_for(peer.offer(AUDIO_ONLY.media), 5)
    await peer.close()
    assert f"{silent_service.turn_server.url}: no answer" in str(refused.value)
    assert "secret" not in str(refused.value)
    del peer, refused
    await until(lambda: holdings() == before)


async def test_relay_only_without_a_turn_server_is_said():
    connection = SmallWebRTCConnection(ice_transport_policy="relay")
    peer = connection.new_peer()
    with pytest.raises(CouldNotConnect, match="no TURN server"):
        await peer.offer(AUDIO_ONLY.media)
    await peer.close()


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 8, 13])
async def test_an_offer_that_is_given_up_at_any_point_leaves_nothing(silent_service: StunService, rounds):
    before = holdings()
    connection = Listener([silent_service.server.url], settings=patient())
    peer = connection.new_peer()
    offering = asyncio.create_task(peer.offer(AUDIO_ONLY.media))
    for _ in range(rounds):
        await asyncio.sleep(0)
    offering.cancel()
    await asyncio.wait({offering})
    await asyncio.wait_for(peer.close(), 5)
    del peer
    await until(lambda: holdings() == before)


async def test_two_peers_connect_on_a_machine_without_an_interface(loopback_only):
    before = holdings()
    await call_and_hear_back()
    await until(lambda: holdings() == before)


LONELY_CALL = """
import asyncio, fcntl, socket, struct
with socket.socket(type=socket.SOCK_DGRAM) as any_socket:  # SIOCSIFFLAGS, IFF_UP: as `ip link set lo up`
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
from aioice.ice import get_host_addresses
assert get_host_addresses(True, True) == []
from calls import AUDIO_ONLY, Mailbox, answering, dialed
from smallrtc_cli.bots.echo import echo
from smallrtc_cli.rtc.transport import SmallWebRTCTransport

async def main():
    async with answering(echo) as server, dialed(server.supervisor) as (_, connection):
        transport = SmallWebRTCTransport(connection)
        mailbox = Mailbox(transport)
        await transport.send_message({"n": 1})
        print(await mailbox.next())

asyncio.run(main())
"""


def test_two_peers_connect_in_a_network_namespace_that_has_only_lo():
    """The namespace goes with its process; without root it is one of a user namespace of its own."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this kernel allows no network namespace here")
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    call = subprocess.run(
        [*alone, sys.executable, "-c", LONELY_CALL],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert call.returncode == 0, call.stderr
    assert call.stdout.strip() == "{'n': 1}"


async def test_a_dead_server_does_not_keep_a_call_from_coming_up(silent_service: StunService):
    """P25: host candidates are enough here, on both sides, while the server's question stays open."""
    urls = [silent_service.server.url]
    settings = patient(gather_timeout=0.05)
    options = replace(AUDIO_ONLY, ice_servers=urls)
    async with (
        answering(echo, settings, ice_servers=urls) as server,
        dialed(server.supervisor, options, settings) as (_, connection),
    ):
        assert connection.peer.agent.trickling
        assert server.connection.peer.agent.trickling


# The channel before the sound


@pytest.fixture
def begun(monkeypatch) -> list[str]:
    """The codecs of the sound that has begun to be sent."""
    codecs, run = [], AudioSender._run

    async def noted(sender: AudioSender, codec) -> None:
        codecs.append(codec.mimeType)
        await run(sender, codec)

    monkeypatch.setattr(AudioSender, "_run", noted)
    return codecs


@pytest.fixture
def opening(monkeypatch) -> list[Callable[[], None]]:
    """What would have told each peer that its channel is open."""
    withheld, opened = [], Peer._channel_opened
    monkeypatch.setattr(Peer, "_channel_opened", lambda peer, channel: withheld.append(lambda: opened(peer, channel)))
    return withheld


async def test_sound_waits_for_the_channel(monkeypatch, begun, opening):
    monkeypatch.setattr(peer_module, "_HEAD_START", NEVER)
    async with answering(echo) as server, dialed(server.supervisor):
        await until(lambda: len(opening) == 2)
        assert begun == []
        for tell in opening:
            tell()
        await until(lambda: begun == ["audio/opus"] * 2)


async def test_sound_does_not_wait_for_a_channel_that_takes_its_time(monkeypatch, begun, opening):
    monkeypatch.setattr(peer_module, "_HEAD_START", 0.01)
    async with answering(echo) as server, dialed(server.supervisor):
        await until(lambda: begun == ["audio/opus"] * 2)


async def test_where_there_is_no_channel_nothing_waits_for_it(monkeypatch):
    monkeypatch.setattr(peer_module, "_HEAD_START", NEVER)
    peer = SmallWebRTCConnection().new_peer()
    peer.pc.addTransceiver("audio")
    await asyncio.wait_for(peer._channel_first(), 10)
    await peer.close()
