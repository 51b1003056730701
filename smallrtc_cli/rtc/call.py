"""One conversation over one peer connection after the other: what a `SmallWebRTCConnection` is inside.

All decisions are `protocol.session`'s; this is the shell that performs them, with one timer and one ordered inbox.
Here is what happens to a conversation, from its first peer to its end; what a bot calls is in `connection`.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable

from aioice import Candidate

from smallrtc_cli.config import Settings
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.protocol import session as effects
from smallrtc_cli.protocol.messages import PeerLeftMessage, Signal
from smallrtc_cli.protocol.session import CloseReason, Effect, Role, Session, State
from smallrtc_cli.rtc.alarm import Alarm
from smallrtc_cli.rtc.call_tracks import SOURCES, CallTracks
from smallrtc_cli.rtc.changes import Changes
from smallrtc_cli.rtc.dialing_side import DialingSide
from smallrtc_cli.rtc.events import Inbox
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.path_talk import PathTalk
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.peers import Peers
from smallrtc_cli.rtc.tasks import Tasks
from smallrtc_cli.rtc.verdict import Verdict

logger = logging.getLogger(__name__)

EVENTS = (
    frozenset({"new", "connecting", "connected", "disconnected", "lost", "resumed", "failed", "closed"})
    | {"app-message", "track-started", "track-ended", "track-status"}
    | {"path", "stalled", "flowing"}
)

_numbers = itertools.count()


class Call:
    """A conversation: its peers, its tracks, its state and its end."""

    def __init__(self, role: Role, settings: Settings, ice: IceOptions) -> None:
        self.role, self.settings, self._ice = role, settings, ice
        self.id = next(_numbers)
        self.name = f"{type(self).__name__}#{self.id}"
        self._session = Session(role, settings.timing, settings.limits)
        self._inbox = Inbox(self, EVENTS, settings.limits)
        self._tracks = CallTracks(self.name, settings.inbound_audio, self._session.is_enabled)
        self._tasks = Tasks()
        self._peers = Peers(self.name, settings.timing, self._tasks)
        self._path_talk = PathTalk(settings.path_mtu.far_side_timeout)
        self._verdict = Verdict(self.name, role)
        self._changes, self._alarm = Changes(), Alarm()
        self._restarting = False
        "Answering side: a restart has begun and `disconnected` is due, when the new peer takes over."
        self._ending: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.dialing: DialingSide | None = None
        self.on_ended: Callable[[], object] | None = None
        "Called in the moment in which the conversation ends."
        self.on_released: Callable[[], object] | None = None
        "Called when all sockets and tasks of an ended conversation are gone, its handlers too."

    def __repr__(self) -> str:
        return f"<{self.name} {self._session.state}>"

    # Where it is

    @property
    def state(self) -> State:
        """Where the conversation is."""
        return self._session.state

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the conversation ended; None while it goes on."""
        return self._session.close_reason

    @property
    def current_peer(self) -> Peer | None:
        """The present peer, if there is one yet."""
        return self._peers.present

    @property
    def peer(self) -> Peer:
        """The present peer; raises `ConnectionEnded` before there is one."""
        if self._peers.present is None:
            raise ConnectionEnded(f"{self.name} has no peer connection yet")
        return self._peers.present

    # One peer after the other

    def new_peer(self, *, trickles: bool = False) -> Peer:
        """A peer for this conversation, which `adopt` puts in the place of the present one."""
        return Peer(self, self._tracks.slots, self._ice, self.settings, trickles=trickles)

    def adopt(self, peer: Peer) -> None:
        """Go on over a new peer; the old one serves until the new one is connected, and is closed then."""
        self._peers.adopt(peer)
        for track in self._tracks.release():
            self._inbox.put("track-ended", track)
        self._perform(self._session.negotiating(self._now()))
        for index in SOURCES:
            self.track_started(peer, index)
        self._changes.tell()

    # What the peer tells (PeerListener)

    def peer_connected(self, peer: Peer) -> None:
        if peer is self._peers.present:
            self._perform(self._session.peer_connected(self._now()))
            self._changes.tell()
            self._tasks.start(self._peers.release_retired())

    def peer_failed(self, peer: Peer, reason: CloseReason) -> None:
        if peer is self._peers.present:
            self._perform(self._session.peer_failed(reason))

    def peer_closed(self, peer: Peer) -> None:
        # A server that restarts a peer connection closes the old one, some before they answer for the new one.
        if peer is self._peers.present and not (self.dialing is not None and self.dialing.is_redialing()):
            self._perform(self._session.peer_closed())

    def channel_opened(self, peer: Peer) -> None:
        if peer is self._peers.present:
            self._perform(self._session.channel_opened(self._now()))
            self._changes.tell()

    def channel_closed(self, peer: Peer) -> None:
        if peer is self._peers.present:
            self._session.channel_closed()

    def message_received(self, peer: Peer, payload: str | bytes) -> None:
        if peer in self._peers:
            self._perform(self._session.received(payload))

    def track_started(self, peer: Peer, index: int) -> None:
        if peer is self._peers.present and index in SOURCES and peer.receiver(index):
            self._inbox.put("track-started", self._tracks.present(peer, index))

    def candidate_found(self, peer: Peer, candidate: Candidate | None) -> None:
        if self.dialing is not None:
            self.dialing.candidate_found(peer, candidate)

    def path_found(self, peer: Peer, report: PathReport) -> None:
        if peer is self._peers.present:
            logger.debug("%s: %s", self.name, report)
            self._inbox.put("path", report)
            self._changes.tell()

    def channel_stalled(self, peer: Peer, sentence: str) -> None:
        if peer is self._peers.present:
            logger.warning("%s: the data channel is stalled: %s", self.name, sentence)
            self._inbox.put("stalled", sentence)

    def channel_flows(self, peer: Peer) -> None:
        if peer is self._peers.present:
            logger.info("%s: the data channel flows again", self.name)
            self._inbox.put("flowing")

    # The shell

    def _perform(self, todo: list[Effect]) -> None:
        self._alarm.set(self._session.deadline, self._tick)
        if todo:
            self._changes.tell()
        for effect in todo:
            self._do(effect)

    def _answer_path(self) -> None:
        self._path_talk.answer(self._peers.probe_path, self._say, self._tasks)

    def _do(self, effect: Effect) -> None:
        match effect:
            case effects.Emit():
                self._emit(effect)
            case effects.Send(text=text):
                self.peer.send(text)
            case effects.Report(sentence=sentence):
                logger.warning("%s: %s", self.name, sentence)
            case effects.AskConsent() | effects.RequestKeyframes() | effects.ReportPath() | effects.PathTold():
                self._converse(effect)
            case effects.Close(reason=reason):
                self._verdict.reach(reason, self._peers.present)
                self._tasks.start(self.close(reason))
            case effects.Renegotiate() | effects.Redial():
                self._ask_dialer(effect)

    def _emit(self, effect: effects.Emit) -> None:
        if effect.event == "disconnected" and self.role is Role.ANSWER:
            self._restarting = True
            return
        if effect.event == "connected" and self._restarting:
            self._restarting = False
            self._inbox.put("disconnected")
        self._inbox.put(effect.event, *effect.args, size=effect.size)

    def _ask_dialer(self, effect: effects.Renegotiate | effects.Redial) -> None:
        if self.dialing is None:
            raise ConnectionEnded(f"{self.name} was not dialed")
        if isinstance(effect, effects.Redial):
            self._verdict.reach(effect.reason, self._peers.present)
            self.dialing.redial(effect.reason)
        else:
            self.dialing.renegotiate()

    def _converse(
        self, effect: effects.AskConsent | effects.RequestKeyframes | effects.ReportPath | effects.PathTold
    ) -> None:
        match effect:
            case effects.AskConsent():
                if self.peer.agent is not None:
                    self._tasks.start(self.peer.agent.ask_consent())
            case effects.RequestKeyframes():
                self._tasks.start(self.peer.video.request_keyframes())
            case effects.ReportPath():
                self._answer_path()
            case effects.PathTold(message=message):
                self._path_talk.told(message)

    def _say(self, message: Signal) -> None:
        self._perform(self._session.send_signalling(message))

    def _tick(self) -> None:
        self._perform(self._session.tick(self._now(), self._peers.last_heard))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # The end

    async def close(self, reason: CloseReason = CloseReason.BOT_ENDED, *, farewell: bool = False) -> None:
        """End the conversation, sent messages first; idempotent, bounded, and nothing is left behind.

        With `farewell` the client is told (`peerLeft`). Where it is just connecting, that and what waits to be sent go
        out as soon as it has. Handlers may still run then; `settled` waits for them.
        """
        if self._ending is None:
            too_early = (farewell or self._session.has_unsent) and self._channel_may_open()
            if not too_early:
                self._conclude(reason, farewell=farewell)
            self._ending = asyncio.create_task(self._end(reason, farewell=farewell, too_early=too_early))
        await asyncio.shield(self._ending)

    async def settled(self) -> None:
        """Return when an ended conversation's handlers are done, or were given up; not to be awaited in one."""
        if self._ending is not None:
            await asyncio.shield(self._ending)
        if self._settling is not None:
            await asyncio.shield(self._settling)

    def _conclude(self, reason: CloseReason, *, farewell: bool) -> None:
        if farewell:
            self._say(PeerLeftMessage())
        for track in self._tracks.open.values():
            self._inbox.put("track-ended", track)
        self._perform(self._session.close(reason))
        if self.on_ended is not None:
            self.on_ended()

    async def _end(self, reason: CloseReason, *, farewell: bool, too_early: bool) -> None:
        if too_early:
            await self._channel_open_or_late()
            self._conclude(reason, farewell=farewell)
        self._alarm.cancel()
        self._changes.tell()
        await self._peers.close()
        self._tracks.end()
        self._tasks.cancel()
        self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        await self._inbox.finish(self.settings.timing.close_timeout)
        self._inbox.close()
        if self.on_released is not None:
            self.on_released()
        self.dialing = self.on_ended = self.on_released = None

    def _channel_may_open(self) -> bool:
        """Whether a client that could be told is just connecting."""
        peer = self._peers.present
        alive = self._session.state in (State.CONNECTING, State.CONNECTED)
        return alive and peer is not None and peer.channel_is_coming

    async def _channel_open_or_late(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.timing.farewell_timeout):
                await self._changes.until(lambda: self._session.channel_open)
