"""The size of a data channel's chunks, and whether they get through.

It starts cautiously, has the path probed as soon as the channel is open, holds a first long message until there is a
finding, and uses what the path carries. When nothing is acknowledged any more it probes again: chunks that are too
long for the path now are cut anew where that is safe, or may be cut on their way; what remains stuck is told.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from smallrtc_cli.config import PathMtu
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol.mtu import Outcome
from smallrtc_cli.protocol.packet_sizes import SMALLEST_CHUNK
from smallrtc_cli.protocol.stall import Progress, Step
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.association import Association
from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.path import PathReport, layers_of, probe_path
from smallrtc_cli.rtc.wire import Wire

logger = logging.getLogger(__name__)

_LOOK = 0.25
"Seconds between two looks at what is acknowledged, while something is outstanding."

_SACK_PATIENCE = 1.0
"Seconds that the other side gets to say what it has, beside a few round trips."


class SizedBy(StrEnum):
    """Who has set the size of the chunks."""

    CAUTION = "caution"
    PROBE = "probe"
    SETTING = "setting"


class PathListener(Protocol):
    """Who is told how the data channel fares."""

    def path_found(self, report: PathReport) -> None: ...
    def stalled(self, sentence: str) -> None: ...
    def flowing(self) -> None: ...


class ChannelPath:
    """Stands before a peer's data channel."""

    def __init__(
        self,
        agent: IceAgent,
        association: Association,
        settings: PathMtu,
        listener: PathListener,
        put: Callable[[str], None],
    ) -> None:
        """`put` hands a message to the channel."""
        self._agent, self._association, self._settings = agent, association, settings
        self._listener, self._put = listener, put
        self._loop = asyncio.get_running_loop()
        self._held: deque[str] = deque()
        self._hold: asyncio.TimerHandle | None = None
        self._probing: asyncio.Task[PathReport] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._progress = Progress(settings.resend_after, settings.stalled_after)
        self._closed = False
        self.sized_by = SizedBy.CAUTION
        self.report: PathReport | None = None
        "What the last probe found."
        self.probes = 0
        self.resent = 0
        "How often stuck messages were sent anew."

    @property
    def chunk(self) -> int:
        """User bytes in a chunk, of the messages that are sent from now on."""
        return self._association.chunk

    @property
    def stalled(self) -> bool:
        """Whether something is outstanding, and nothing has been acknowledged for long."""
        return self._progress.stalled

    @property
    def held(self) -> int:
        """Characters of the messages that wait for the probe."""
        return sum(len(text) for text in self._held)

    # The channel is open

    def open(self) -> None:
        """A data channel is open: see what the path carries."""
        if self._settings.sctp_chunk is not None:
            self._size(self._settings.sctp_chunk, SizedBy.SETTING)
            return
        if self.report is None and self._probing is None:
            self._size(layers_of(self._agent, self._association).cautious_chunk, SizedBy.CAUTION)
            self._hold = self._loop.call_later(self._settings.hold, self.release)
            self._start_probe()

    def send(self, text: str) -> None:
        """Send a message, or let it wait for the first finding if it is long, or behind one that waits."""
        if self._hold is not None and (self._held or len(text) > self._settings.small_message):
            self._held.append(text)
            return
        self._put(text)
        self._look_soon()

    def release(self) -> None:
        """Nothing waits for the probe any more."""
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        while self._held:
            self._put(self._held.popleft())
        self._look_soon()

    # Probing

    async def probe(self) -> PathReport:
        """Probe the path, or wait for the probe that is under way; raises `ConnectionEnded`."""
        if self._closed:
            raise ConnectionEnded("the connection is closed")
        try:
            return await asyncio.shield(self._start_probe())
        except (ConnectionError, OSError, asyncio.CancelledError) as error:
            if self._closed or not isinstance(error, asyncio.CancelledError):
                raise ConnectionEnded("the connection ended while its path was probed") from None
            raise

    def _start_probe(self) -> asyncio.Task[PathReport]:
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe())
            self._probing.add_done_callback(self._probed)
        return self._probing

    async def _probe(self) -> PathReport:
        return await probe_path(
            self._agent, self._association, time_limit=self._settings.probe_timeout, progress=self._proven
        )

    def _proven(self, size: int) -> None:
        if self._settings.sctp_chunk is None and size >= self.chunk:
            self._size(size, SizedBy.PROBE)
            self.release()

    def _probed(self, probing: asyncio.Task[PathReport]) -> None:
        self._probing = None
        if self._closed or probing.cancelled():
            return
        if (error := probing.exception()) is not None:
            logger.debug("the path was not probed: %s", error)
        else:
            self._use(probing.result())
        self.release()

    def _use(self, report: PathReport) -> None:
        self.report = report
        self.probes += report.finding.probes
        if self._settings.sctp_chunk is None and _is_believable(report):
            self._size(report.chunk or SMALLEST_CHUNK, SizedBy.PROBE)
        self._listener.path_found(report)

    def _size(self, chunk: int, by: SizedBy) -> None:
        self._association.chunk, self.sized_by = chunk, by

    # Stalls

    def _look_soon(self) -> None:
        if self._look_timer is None and not self._closed:
            self._look()

    def _look(self) -> None:
        self._look_timer = None
        association = self._association
        outstanding = aiortc_internals.unacknowledged(association.sctp) > 0
        now, acknowledged = self._loop.time(), association.acknowledged_up_to
        for step in self._progress.look(now, acknowledged, outstanding, self._agent.last_heard):
            self._take(step)
        if outstanding and not self._closed:
            self._look_timer = self._loop.call_later(_LOOK, self._look)

    def _take(self, step: Step) -> None:
        match step:
            case Step.RECOVER if self._recovering is None or self._recovering.done():
                self._recovering = asyncio.create_task(self._recover())
            case Step.STALLED:
                self._listener.stalled(self.why())
            case Step.FLOWING:
                self._listener.flowing()

    async def _recover(self) -> None:
        try:
            report = await self.probe()
            await self._unstick(report)
        except (ConnectionEnded, ConnectionError, OSError) as error:
            logger.debug("what is stuck was left: %s", error)

    async def _unstick(self, report: PathReport) -> None:
        """See that what is too long for the path gets through: in other pieces, cut on its way, or as a new message."""
        stuck = max(self._association.in_flight, default=0)
        if report.chunk is None or stuck <= report.chunk:
            return
        sent_anew = self._settings.sctp_chunk is None and await self._send_anew(report)
        if sent_anew:
            self.resent += 1
            logger.info("what was stuck in chunks of %d bytes is sent anew in chunks of %d", stuck, self.chunk)
        elif report.pieces_pass:
            wire = Wire.of(self._agent.nominated_pair())
            try:
                wire.let_be_cut(report.ip_packet or 0)
            finally:
                wire.close()

    async def _send_anew(self, report: PathReport) -> bool:
        """Whether what is stuck has left in shorter chunks, after the other side has said what it has.

        That changes no order where the other side has nothing of it. Else it may: so only where nothing else helps.
        """
        association = self._association
        if not await self._is_told(report):
            return False
        if association.can_recut():
            await association.recut()
            return True
        return not report.pieces_pass and association.can_send_anew() and await association.send_anew()

    async def _is_told(self, report: PathReport) -> bool:
        """Whether the other side has just said what it has."""
        told = asyncio.Event()
        stop = self._association.on_acknowledgement(told.set)
        try:
            if not await self._association.ask_for_sack():
                return False
            async with asyncio.timeout(_SACK_PATIENCE + 3 * report.round_trip):
                await told.wait()
        except TimeoutError:
            return False
        finally:
            stop()
        return True

    def why(self) -> str:
        """One sentence on what holds up the data channel."""
        stuck, report = max(self._association.in_flight, default=0), self.report
        if report is None or report.chunk is None or stuck <= report.chunk:
            return "nothing that was sent is acknowledged, though the other side is there"
        longest = report.layers.ip_packet(stuck)
        return f"packets of {longest} bytes do not pass, {report.ip_packet} do ({report.limit.words})"

    # The end

    def close(self) -> None:
        """Nothing is sent, watched or probed any more."""
        self._closed = True
        self._held.clear()
        timers: tuple[asyncio.TimerHandle | None, ...] = (self._hold, self._look_timer)
        tasks: tuple[asyncio.Task[Any] | None, ...] = (self._probing, self._recovering)
        for owned in (*timers, *tasks):
            if owned is not None:
                owned.cancel()


def _is_believable(report: PathReport) -> bool:
    """Whether it says something of the path: an ICE agent may answer short requests only, whatever the path carries."""
    outcome = report.finding.outcome
    return outcome is Outcome.FOUND or (outcome is Outcome.BELOW and report.method == "sctp")
