"""What happens to the sessions of a server, as values for a terminal, a script or another process."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One thing that happened to one session.

    `event` is `offered`, `connected`, `reconnected`, `path` (what it carries), `stalled`, `flowing` (the data channel),
    `lost`, `resumed`, `failed`, `bot-failed`, `bot-ended`, `said` (a line that the bot printed) or `closed`; `detail`
    has what belongs to it, in values that JSON can hold.
    """

    event: str
    session: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON's object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(data["event"], data["session"], dict(data.get("detail", {})))


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session at one moment."""

    id: str
    state: str
    bot: str
    "`running`, `ended` or `failed`."

    seconds: float
    "How long it has been going on."

    report: Mapping[str, Mapping[str, Any]]
    "What `rtc.stats.stats` gives."


Observer = Callable[[SessionEvent], object]


def ignore(_: SessionEvent) -> None:
    """An observer that has nothing to do."""
