"""What is told of a call: the conversation and the events. What has its final form is written, once."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from smallrtc_cli.commands.connect.log import CallLog, words
from smallrtc_cli.protocol.conversation import Conversation, Line

_WELL: Final = frozenset(
    {"dialing", "connected", "reconnected", "resumed", "flowing", "first-audio", "answer", "played"}
)
"Events after which there is nothing to worry about."


class Story:
    """Collects what happens; a live view shows the `notice`, and `lines`, which may still change."""

    def __init__(self, log: CallLog) -> None:
        self._log = log
        self._unfinished: dict[int, Line] = {}
        self._conversation = Conversation(self._changed)
        self.notice = ""
        "What went wrong last, until all is well again."
        self.on_unwritable: Callable[[OSError], object] | None = None
        "Told that what is told here cannot be written; raised where nobody is there. Handlers of events raise in vain."

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is being said just now."""
        return tuple(self._unfinished.values())

    def received(self, message: Mapping[str, Any]) -> None:
        """A message of the bot's."""
        self._write("message", message=message)
        self._conversation.received(message)

    def sent(self, message: Mapping[str, Any]) -> None:
        """A message of ours."""
        self._write("sent", message=message)
        self._conversation.sent(message)

    def event(self, event: str, **detail: Any) -> None:
        """Something happened to the call."""
        self.notice = "" if event in _WELL else (words(event, detail) or self.notice)
        self._write(event, **detail)

    def trouble(self, sentence: str) -> None:
        """Something went wrong, and the call goes on."""
        self.event("trouble", sentence=sentence)

    def end(self) -> None:
        """The call is over."""
        self._conversation.end()

    def _changed(self, line: Line) -> None:
        if not line.final:
            self._unfinished[line.id] = line
            return
        self._unfinished.pop(line.id, None)
        with self._writing():
            self._log.line(f"{'·' if line.who == 'event' else line.who:<8} {line.text or line.rest}")

    def _write(self, event: str, **detail: Any) -> None:
        with self._writing():
            self._log.event(event, **detail)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self.on_unwritable is None:
                raise
            self.on_unwritable(error)
