"""One conversation as a state machine: who is there, what may be sent, what happened.

A session outlives its peers. It knows no clock, socket or task: every input takes `now` (monotonic seconds) where
time matters and returns the effects to perform, in order; `deadline` tells when `tick` wants to be called.

                 negotiating            peer_connected
    NEW ────────────────────▶ CONNECTING ────────────▶ CONNECTED ◀──────────┐
                                 ▲   │                   │     │            │ heard again
                     negotiating │   │ connect_timeout   │     │ lost_after │
                    (restart_pc) └───┼───────────────────┘     ▼            │
                                     │                        LOST ─────────┘
                                     ▼      close_after        │
                                   CLOSED ◀────────────────────┘   (and by close() from anywhere)

The answering side waits for the other to come back. The dialing side asks for `Redial` as soon as it is lost or
its peer connection broke; one that broke stays lost, whatever was heard, until a new one connects or the dialer
gives up.

Liveness is any packet from the other side: media, RTCP, STUN, data channel. Where nothing comes by itself the
session asks for a consent response (RFC 7675), so a muted, silent client that is still there is never lost.
Application messages wait for the bot in order; messages to send wait for the channel in order.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smallrtc_cli.config import Limits, Timing
from smallrtc_cli.protocol import messages
from smallrtc_cli.protocol.messages import (
    AppMessage,
    PathLoadMessage,
    PathReportMessage,
    PathRequestMessage,
    PeerLeftMessage,
    Ping,
    Rejected,
    RenegotiateMessage,
    Signal,
    TrackStatusMessage,
)


class State(StrEnum):
    """Where a conversation is; the table is in this module's docstring."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    CLOSED = "closed"


class Role(StrEnum):
    """Which end of the signalling a session is at."""

    ANSWER = "answer"
    OFFER = "offer"


class CloseReason(StrEnum):
    """Why a conversation ended."""

    PEER_CLOSED = "peer-closed"
    "The other side closed its peer connection."
    PEER_LEFT = "peer-left"
    "The bot said that it is leaving (`peerLeft`); seen by the dialing side."
    ICE_TIMEOUT = "ice-timeout"
    "No candidate pair worked, or nothing has been heard for too long."
    DTLS_ERROR = "dtls-error"
    CONNECT_TIMEOUT = "connect-timeout"
    BOT_ENDED = "bot-ended"
    BOT_FAILED = "bot-failed"
    SERVER_SHUTDOWN = "server-shutdown"
    CLIENT_ENDED = "client-ended"
    "The dialing side hung up."
    REDIAL_FAILED = "redial-failed"
    "The dialing side could not get back."


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the handlers of `event`."""

    event: str
    args: tuple[Any, ...] = ()
    size: int = 0
    "Characters of the message that it carries, for the inbox's bound."


@dataclass(frozen=True, slots=True)
class Send:
    """Put a text on the data channel, which is open."""

    text: str


@dataclass(frozen=True, slots=True)
class AskConsent:
    """Ask the other side for a sign of life."""


@dataclass(frozen=True, slots=True)
class RequestKeyframes:
    """Ask the sender of every video track for a key frame."""


@dataclass(frozen=True, slots=True)
class Renegotiate:
    """Make a new offer on the same peer connection (dialing side)."""


@dataclass(frozen=True, slots=True)
class Redial:
    """Make a new peer connection (dialing side)."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Close:
    """End the conversation."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class ReportPath:
    """Tell the other side what the path carries from us to it."""


@dataclass(frozen=True, slots=True)
class PathTold:
    """The other side has told what the path carries from it to us."""

    message: PathReportMessage


@dataclass(frozen=True, slots=True)
class Report:
    """Worth a line in the log."""

    sentence: str


Effect = Report | Emit | Send | AskConsent | RequestKeyframes | Renegotiate | Redial | Close | ReportPath | PathTold

_STALL = 0.5
"Seconds by which a late `tick` shows that our own loop stood still: that is not the other side's silence."


class Session:
    """The state of one conversation. Feed it what happens, perform what it returns."""

    def __init__(self, role: Role = Role.ANSWER, timing: Timing | None = None, limits: Limits | None = None) -> None:
        self.role = role
        self.state = State.NEW
        self.close_reason: CloseReason | None = None
        self.joined = False
        self.was_connected = False
        self.channel_open = False
        self.pings_received = 0
        self.messages_rejected = 0
        self.messages_dropped = 0
        self._timing = timing or Timing()
        self._limits = limits or Limits()
        self._enabled: dict[int, bool] = {}
        self._announced: dict[int, bool] = {}
        self._outbox: deque[str] = deque()
        self._queueing = True
        self._parked: deque[Emit] = deque()
        self._parked_size = 0
        self._broken = False
        self._quiet_until = float("-inf")
        self._heard = 0.0
        self._asked = 0.0
        self._connect_by: float | None = None
        self._channel_by: float | None = None
        self._ping_at: float | None = None

    # What the peer does

    def negotiating(self, now: float) -> list[Effect]:
        """A new peer connection begins: the first one, or the one of a restart."""
        if self.state is State.CLOSED:
            return []
        restart = self.state is not State.NEW
        self.state = State.CONNECTING
        self.channel_open, self._ping_at, self._channel_by = False, None, None
        self._queueing, self._broken = True, False
        self._connect_by = now + self._timing.connect_timeout
        gone: list[Effect] = [Emit("disconnected")] if restart and self.joined else []
        return [*gone, Emit("connecting")]

    def renegotiated(self, now: float) -> None:
        """An offer and its answer were exchanged; no other is needed for a while."""
        self._quiet_until = now + self._timing.keyframe_grace

    def peer_connected(self, now: float) -> list[Effect]:
        """ICE and DTLS are up."""
        if self.state is not State.CONNECTING:
            return []
        self.state, self.was_connected = State.CONNECTED, True
        self._connect_by = None
        self._heard = self._asked = now
        if not self.channel_open:
            self._channel_by = now + self._timing.channel_timeout
        return [Emit("connected")] if self.joined else []

    def peer_failed(self, reason: CloseReason) -> list[Effect]:
        """ICE or DTLS gave up on the current peer connection."""
        if self.state is State.CLOSED:
            return []
        return [Emit("failed"), self._give_up(reason)]

    def peer_closed(self) -> list[Effect]:
        """The other side closed the current peer connection: on purpose, so nobody dials again."""
        return [] if self.state is State.CLOSED else [Close(CloseReason.PEER_CLOSED)]

    def channel_opened(self, now: float) -> list[Effect]:
        """A data channel is open: what waited goes out first, in order."""
        if self.state is State.CLOSED:
            return []
        self.channel_open, self._queueing, self._channel_by = True, True, None
        effects: list[Effect] = []
        if self.role is Role.OFFER:
            self._ping_at = now + self._timing.ping_interval
            effects += [Send(messages.encode_signalling(TrackStatusMessage(*told))) for told in self._announced.items()]
        effects += [Send(text) for text in self._outbox]
        self._outbox.clear()
        return effects

    def channel_closed(self) -> None:
        """The data channel is gone; messages wait for the next one."""
        self.channel_open, self._ping_at = False, None

    def received(self, payload: str | bytes) -> list[Effect]:
        """A message came over the data channel."""
        if self.state is State.CLOSED:
            return []
        match messages.decode(payload):
            case Ping():
                self.pings_received += 1
                return []
            case TrackStatusMessage(receiver_index=index, enabled=enabled):
                self._enabled[index] = enabled
                return self._deliver(Emit("track-status", (index, enabled), size=len(payload)))
            case RenegotiateMessage():
                return [Renegotiate()] if self.role is Role.OFFER else []
            case PeerLeftMessage():
                return [Close(CloseReason.PEER_LEFT)] if self.role is Role.OFFER else []
            case PathRequestMessage() | PathReportMessage() | PathLoadMessage() as message:
                return _about_path(message)
            case AppMessage(message=message):
                return self._deliver(Emit("app-message", (message,), size=len(payload)))
            case Rejected(reason=reason):
                self.messages_rejected += 1
                return [Report(f"a message was skipped: {reason}")]

    # What our side does

    def join(self) -> list[Effect]:
        """The bot is there: what happened without it is told now, in order."""
        if self.joined or self.state is State.CLOSED:
            return []
        self.joined = True
        parked, self._parked, self._parked_size = self._parked, deque(), 0
        if self.state not in (State.CONNECTED, State.LOST):
            return list(parked)
        return [Emit("connected"), *parked, RequestKeyframes()]

    def send_app(self, message: object) -> list[Effect]:
        """Send any JSON value as an application message."""
        return self._post(messages.encode_app(message))

    def send_signalling(self, message: Signal) -> list[Effect]:
        """Send a message in the signalling envelope."""
        return self._post(messages.encode_signalling(message))

    def ask_to_renegotiate(self, now: float) -> list[Effect]:
        """Ask the client for a new offer, unless one was just exchanged."""
        if now < self._quiet_until:
            return []
        self._quiet_until = now + self._timing.keyframe_grace
        return self.send_signalling(RenegotiateMessage())

    def set_enabled(self, index: int, enabled: bool) -> list[Effect]:
        """Dialing side: say that a microphone (0), camera (1) or screen (2) is on or off."""
        self._announced[index] = enabled
        if not self.channel_open:
            return []
        return [Send(messages.encode_signalling(TrackStatusMessage(index, enabled)))]

    @property
    def has_unsent(self) -> bool:
        """Whether messages wait for the channel."""
        return bool(self._outbox)

    @property
    def is_full(self) -> bool:
        """Whether another message would be dropped, though the channel may still open."""
        waits = self._queueing and not self.channel_open and self.state is not State.CLOSED
        return waits and len(self._outbox) >= self._limits.outbox

    def is_enabled(self, index: int) -> bool:
        """Whether the other side says that it sends on a receiver's track; kept over restarts."""
        return self._enabled.get(index, True)

    def is_connected(self) -> bool:
        """Whether a bot has joined and the other side has not gone; one that is silent may come back."""
        return self.joined and self.state in (State.CONNECTED, State.LOST)

    def close(self, reason: CloseReason) -> list[Effect]:
        """End the conversation; said once."""
        if self.state is State.CLOSED:
            return []
        self.state, self.close_reason = State.CLOSED, reason
        self._connect_by = self._channel_by = self._ping_at = None
        self.channel_open = False
        self.messages_dropped += len(self._outbox) + len(self._parked)
        self._outbox.clear()
        self._parked.clear()
        return [Emit("closed")]

    # Time

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called, in monotonic seconds; None: not at all."""
        times = [self._connect_by, self._channel_by, self._ping_at]
        if self._can_be_heard():
            times.append(max(self._heard, self._asked) + self._timing.consent_after)
        return min((t for t in times if t is not None), default=None)

    def tick(self, now: float, heard: float) -> list[Effect]:
        """Time has passed; `heard` is when the last packet from the other side arrived."""
        deadline = self.deadline
        stalled = now - deadline if deadline is not None and now - deadline > _STALL else 0.0
        self._heard = min(now, max(self._heard, heard) + stalled)
        return [*self._overdue(now), *self._liveness(now), *self._ping(now)]

    def _overdue(self, now: float) -> list[Effect]:
        if self._connect_by is not None and now >= self._connect_by:
            self._connect_by = None
            return [self._give_up(CloseReason.CONNECT_TIMEOUT)]
        if self._channel_by is not None and now >= self._channel_by:
            self._channel_by = None
            self.messages_dropped += len(self._outbox)
            self._outbox.clear()
            self._queueing = False
            other = "server" if self.role is Role.OFFER else "client"
            return [Report(f"no data channel was opened; messages to the {other} are dropped until one is")]
        return []

    def _can_be_heard(self) -> bool:
        return self.state in (State.CONNECTED, State.LOST) and not self._broken

    def _liveness(self, now: float) -> list[Effect]:
        if not self._can_be_heard():
            return []
        silent = now - self._heard
        effects: list[Effect] = []
        if self.state is State.LOST and silent < self._timing.lost_after:
            self.state = State.CONNECTED
            effects.append(Emit("resumed"))
        if now < max(self._heard, self._asked) + self._timing.consent_after:
            return effects
        self._asked = now
        if silent >= self._timing.close_after and self.role is Role.ANSWER:
            return [Close(CloseReason.ICE_TIMEOUT)]
        if self.state is State.CONNECTED and silent >= self._timing.lost_after:
            self.state = State.LOST
            effects.append(Emit("lost"))
            if self.role is Role.OFFER:
                effects.append(Redial(CloseReason.ICE_TIMEOUT))
        return [*effects, AskConsent()]

    def _ping(self, now: float) -> list[Effect]:
        if self._ping_at is None or now < self._ping_at:
            return []
        self._ping_at = now + self._timing.ping_interval
        return [Send(messages.encode_ping(int(now * 1000)))]

    # Queues

    def _deliver(self, event: Emit) -> list[Effect]:
        if self.joined:
            return [event]
        full = len(self._parked) >= self._limits.inbox
        if full or self._parked_size + event.size > self._limits.inbox_bytes:
            self.messages_dropped += 1
            return [Report("a message was dropped: too many wait for the bot")]
        self._parked.append(event)
        self._parked_size += event.size
        return []

    def _post(self, text: str) -> list[Effect]:
        if self.state is State.CLOSED:
            self.messages_dropped += 1
            return []
        if self.channel_open:
            return [Send(text)]
        if not self._queueing or len(self._outbox) >= self._limits.outbox:
            self.messages_dropped += 1
            return [Report("a message was dropped: too many wait for the data channel to open")]
        self._outbox.append(text)
        return []

    def _give_up(self, reason: CloseReason) -> Redial | Close:
        if self.role is Role.ANSWER or not self.was_connected:
            return Close(reason)
        self.state, self._broken = State.LOST, True
        self._connect_by = self._channel_by = self._ping_at = None
        return Redial(reason)

    def counters(self) -> Mapping[str, int]:
        """What was dropped or refused, for statistics."""
        return {
            "messagesRejected": self.messages_rejected,
            "messagesDropped": self.messages_dropped,
            "pingsReceived": self.pings_received,
        }


def _about_path(message: PathRequestMessage | PathReportMessage | PathLoadMessage) -> list[Effect]:
    match message:
        case PathRequestMessage():
            return [ReportPath()]
        case PathReportMessage():
            return [PathTold(message)]
        case PathLoadMessage():  # it has arrived: that was all
            return []
