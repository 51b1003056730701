"""The sessions that `/start` makes: a body that waits for its offer, and who still uses it; pure, with `now`.

    begin ──► waiting ──offered──► an offer is being answered ──entered──► a bot runs ──left──► gone
                 │                      │ refused: waits anew
                 └─ nobody offers in `expire_after`: gone

A session lives while one of its bots does, or an offer for it is being answered (P11). What waits is bounded in
number, since each keeps a body.
"""

from dataclasses import dataclass
from typing import Any

from smallrtc_cli.errors import RequestError
from smallrtc_cli.web.rates import TryLater


class UnknownSession(RequestError):
    """No session has this id: it never had, or its last bot has ended, or nobody offered to it in time."""

    status = 404
    hint = "begin one with `POST /start`"


class TooManySessions(TryLater):
    """As many sessions wait for an offer as may."""

    status = 503


@dataclass(slots=True)
class _Session:
    body: Any
    deadline: float
    bots: int = 0
    offers: int = 0
    used: bool = False

    @property
    def idle(self) -> bool:
        return not (self.bots or self.offers)


class Sessions:
    """Who may offer under which id. The supervisor of the bots calls `entered` and `left`, the HTTP door the rest."""

    def __init__(self, *, expire_after: float = 60.0, most_waiting: int = 100) -> None:
        """`expire_after` is in seconds; `most_waiting` bounds the sessions without a bot."""
        self._expire_after, self._most_waiting = expire_after, most_waiting
        self._sessions: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._sessions

    def begin(self, session_id: str, body: Any, now: float) -> None:
        """Make a session that waits for an offer; raises `TooManySessions`."""
        self._expire(now)
        waiting = [session.deadline for session in self._sessions.values() if session.idle]
        if len(waiting) >= self._most_waiting:
            raise TooManySessions(
                f"{len(waiting)} sessions wait for an offer already", retry_after=min(waiting, default=now) - now
            )
        self._sessions[session_id] = _Session(body, now + self._expire_after)

    def offered(self, session_id: str, now: float) -> Any:
        """An offer for the session came in: the body of `/start`; raises `UnknownSession`. `answered` must follow."""
        self._expire(now)
        session = self._sessions.get(session_id)
        if session is None:
            raise UnknownSession("there is no session with this id")
        session.offers += 1
        return session.body

    def answered(self, session_id: str, now: float) -> None:
        """The offer was answered or refused; if no bot came of it, the session waits anew."""
        session = self._sessions[session_id]  # an offer under way keeps it
        session.offers -= 1
        session.deadline = now + self._expire_after
        self._forget(session_id, session)

    def check(self, session_id: str, now: float) -> None:
        """Raise `UnknownSession` unless there is one."""
        self._expire(now)
        if session_id not in self._sessions:
            raise UnknownSession("there is no session with this id")

    def entered(self, session_id: str) -> None:
        """A bot of the session starts, whether `/start` made the session or an offer without one."""
        session = self._sessions.setdefault(session_id, _Session({}, 0.0))
        session.bots += 1
        session.used = True

    def left(self, session_id: str) -> None:
        """A bot of the session has ended; must follow each `entered` once."""
        session = self._sessions[session_id]
        session.bots -= 1
        self._forget(session_id, session)

    def _forget(self, session_id: str, session: _Session) -> None:
        if session.used and session.idle:
            del self._sessions[session_id]

    def _expire(self, now: float) -> None:
        for session_id, session in [*self._sessions.items()]:
            if session.idle and now >= session.deadline:
                del self._sessions[session_id]
