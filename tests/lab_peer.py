"""Both ends of a call as a program, for the hosts of a laboratory: commands on stdin, replies on stdout.

A line of JSON asks (`{"do": "call", "url": …}`), one line answers; the methods of `LabPeer` say what can be asked.
It ends with its stdin. Nothing here is set up for small paths but what a command says: the code of the package is
to cope by itself.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from aiortc import rtcsctptransport
from calls import until

from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
from smallrtc_cli.bots.supervisor import Supervisor
from smallrtc_cli.config import Ice, PathMtu, Redial, Settings, Timing
from smallrtc_cli.rtc.connection import IceServer, SmallWebRTCConnection
from smallrtc_cli.rtc.dialer import Dialer, DialOptions
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.peer import MediaOptions
from smallrtc_cli.rtc.request_handler import SmallWebRTCRequestHandler
from smallrtc_cli.rtc.transport import SmallWebRTCTransport
from smallrtc_cli.web.client import HttpExchange
from smallrtc_cli.web.server import SignallingServer

logger = logging.getLogger(__name__)

PIECE = 50_000
"Bytes of a message; what is to be sent goes in so many messages, one behind the other."

PATIENCE = 20.0
"Seconds after which nothing is waited for any more."

Reply = dict[str, Any]


class LabPeer:
    """One host's end of one call at a time; each method is a command, its result the reply."""

    def __init__(self) -> None:
        self._server: tuple[SignallingServer, Supervisor] | None = None
        self._exchange: HttpExchange | None = None
        self._line: SmallWebRTCTransport | None = None
        self._got: asyncio.Queue[int] = asyncio.Queue()
        self._troubles: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self, host: str, chunk: int | None = None) -> Reply:
        """Serve on an address, anew, with a chunk size or the one that is found; says the URL."""
        await self._stop_serving()
        settings = _settings(chunk)
        supervisor = Supervisor(lambda: self._bot, SmallWebRTCRequestHandler(settings=settings))
        server = SignallingServer(supervisor)
        self._server = server, supervisor
        return {"url": await server.start(host)}

    async def call(self, url: str, *, interface: str = "", chunk: int | None = None, turn: str | None = None) -> Reply:
        """Call a server, from an interface or address of this host, or over nothing but a TURN server."""
        await self.hang_up()
        servers = [IceServer(urls=turn, username="u", credential="p")] if turn else []
        options = DialOptions(
            ice_servers=servers,
            ice_transport_policy="relay" if turn else "all",
            ice=IceOptions(interfaces=(interface,) if interface else ()),
            media=MediaOptions(video=False),
        )
        self._exchange = HttpExchange(url)
        connection = await Dialer(self._exchange, options, settings=_settings(chunk)).dial()
        transport = SmallWebRTCTransport(connection)
        self._take(transport)
        await asyncio.wait_for(transport.start(), PATIENCE)
        agent = connection.peer.agent
        assert agent is not None
        pair = agent.nominated_pair()
        return {"local": _place(pair.local_candidate), "remote": _place(pair.remote_candidate)}

    async def send(self, size: int, tries: int | None = None) -> Reply:
        """Send so many bytes: `arrived` when the other side has said so.

        `stalled` when a packet has gone out `tries` times with no acknowledgement of anything, or all patience is lost.
        """
        self._got = asyncio.Queue()
        connection = await self._connected()
        silence = Silence(connection)
        sending = asyncio.create_task(_send_pieces(connection, size))
        hearing = asyncio.create_task(self._got.get())
        try:
            async with asyncio.timeout(PATIENCE):
                while not hearing.done() and (tries is None or silence.tries() < tries):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        arrived = hearing.done()
        for task in (sending, hearing):
            task.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)
        return {"outcome": "arrived" if arrived else "stalled", "bytes": hearing.result() if arrived else 0}

    async def path(self) -> Reply:
        """Measure what passes from here to the other side, or wait for the measurement that is under way."""
        connection = await self._connected()
        report = await connection.probe_path()
        return {
            "used": connection.peer.path.chunk,
            "chunk": report.chunk,
            "exact": report.finding.exact,
            "limit": report.limit,
            "pieces_pass": report.pieces_pass,
            "probes": report.finding.probes,
            "seconds": report.finding.seconds,
        }

    async def trouble(self) -> Reply:
        """What this side says of a data channel that is stalled, once it does."""
        return {"sentence": await asyncio.wait_for(self._troubles.get(), PATIENCE)}

    async def hang_up(self) -> Reply:
        """End the call that there is, if there is one."""
        line, self._line = self._line, None
        if line is not None:
            await line.disconnect()
        if self._exchange is not None:
            await self._exchange.close()
        return {}

    async def close(self) -> None:
        """End everything."""
        await self.hang_up()
        await self._stop_serving()

    # Inner works

    async def _connected(self) -> SmallWebRTCConnection:
        """The connection of the present call, once messages can be sent on it."""
        await until(lambda: self._line is not None and self._line.connection.peer.path is not None, PATIENCE)
        assert self._line is not None
        return self._line.connection

    async def _bot(self, runner_args: SmallWebRTCRunnerArguments) -> None:
        transport = SmallWebRTCTransport(runner_args.webrtc_connection)
        self._take(transport)
        await transport.wait_closed()

    def _take(self, transport: SmallWebRTCTransport) -> None:
        """Count what the other side sends on this line, tell it when all is there, and hear what it has counted."""
        self._line, received = transport, 0

        async def on_app_message(transport: SmallWebRTCTransport, message: Reply, _: str) -> None:
            nonlocal received
            if "got" in message:
                self._got.put_nowait(message["got"])
                return
            received += len(message["piece"])
            if message["last"]:
                await transport.send_message({"got": received})
                received = 0

        transport.add_event_handler("on_app_message", on_app_message)
        troubles = self._troubles = asyncio.Queue[str]()
        transport.connection.add_event_handler("stalled", lambda _, sentence: troubles.put_nowait(sentence))

    async def _stop_serving(self) -> None:
        if self._server is not None:
            server, supervisor = self._server
            self._server = self._line = None
            await supervisor.close()
            await server.close()


class Silence:
    """How often the unacknowledged was sent since the other side has last acknowledged anything new.

    A crowd of packets can be on its way for long, and one of them be sent anew for each acknowledgement of a later
    one: only without these it says something of the path.
    """

    def __init__(self, connection: SmallWebRTCConnection) -> None:
        self._sctp: Any = connection.peer.pc.sctp
        self._known, self._before = self._acknowledged(), self._sent()

    def _acknowledged(self) -> tuple[int, int]:
        return self._sctp._last_sacked_tsn, sum(chunk._acked for chunk in self._sctp._sent_queue)

    def _sent(self) -> int:
        return max((chunk._sent_count for chunk in self._sctp._sent_queue), default=0)

    def tries(self) -> int:
        """To be asked often."""
        if self._known != self._acknowledged():
            self._known, self._before = self._acknowledged(), self._sent()
        return self._sent() - self._before


async def _send_pieces(connection: SmallWebRTCConnection, size: int) -> None:
    for start in range(0, size, PIECE):
        end = min(start + PIECE, size)
        await connection.wait_writable()
        connection.send_app_message({"piece": "x" * (end - start), "last": end == size})


def _settings(chunk: int | None) -> Settings:
    """A given chunk size is for calls that are to stall: repeating sooner than after a second shows that sooner."""
    rtcsctptransport.SCTP_RTO_MIN = 1.0 if chunk is None else 0.25
    return Settings(
        timing=Timing(drain_timeout=0.05),
        redial=Redial(attempts=0),
        ice=Ice(gather_timeout=10.0),
        path_mtu=PathMtu(sctp_chunk=chunk),
    )


def _place(candidate: Any) -> Reply:
    return {"address": candidate.host, "type": candidate.type}


async def obey(peer: LabPeer) -> None:
    """Do what stdin says, one command after the other, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command = json.loads(line)
        number = command.pop("number")
        try:
            reply = await getattr(peer, command.pop("do"))(**command)
        except Exception as error:
            logger.exception("a command failed")
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply | {"number": number}), flush=True)


async def main() -> None:
    peer = LabPeer()
    try:
        await obey(peer)
    finally:
        await peer.close()


if __name__ == "__main__":
    asyncio.run(main())
