"""A path that drops what is too long, without root: in the sockets of the peers of this process."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from unittest.mock import patch

from calls import AUDIO_ONLY, answering, dialed, idle_bot, until

from smallrtc_cli.config import Settings
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.sockets import CheckSocket

IP_AND_UDP = 28
NO_LIMIT = 1 << 16


@dataclass
class NarrowPath:
    """Datagrams that would be longer than `mtu` as IPv4 packets disappear, whoever sends them."""

    mtu: int = NO_LIMIT
    lengths: list[int] = field(default_factory=list)
    "Of the media packets, those that disappear too."

    drop: Callable[[bytes], bool] = lambda datagram: False


@contextlib.contextmanager
def narrow_path(mtu: int = NO_LIMIT) -> Iterator[NarrowPath]:
    path, receive = NarrowPath(mtu), CheckSocket.datagram_received

    def receive_what_passes(self: CheckSocket, data: bytes, addr: tuple[str, int]) -> None:
        length, is_media = len(data) + IP_AND_UDP, 127 < data[0] < 192
        if is_media:
            path.lengths.append(length)
        if length > path.mtu or path.drop(data):
            return
        receive(self, data, addr)

    with patch.object(CheckSocket, "datagram_received", receive_what_passes):
        yield path


@contextlib.asynccontextmanager
async def pair(settings: Settings | None = None, answering_settings: Settings | None = None):
    """The two connections of a call: the one that was dialed, then the one that was answered."""
    async with answering(idle_bot, answering_settings or settings) as server:
        async with dialed(server.supervisor, AUDIO_ONLY, settings) as (_, connection):
            await until(lambda: server.arguments and server.connection.peer.path is not None, 20)
            await until(lambda: connection.peer.path is not None, 20)
            yield connection, server.connection


async def measured(*connections: SmallWebRTCConnection) -> None:
    """Wait until the paths of these have been probed."""
    await until(lambda: all(c.peer.path.report is not None for c in connections), 20)
