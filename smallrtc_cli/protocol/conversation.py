"""The conversation as lines, from the messages of a call.

Bots tell the same words several times over: as tokens, as text that is spoken, as a transcription. Of a turn the best
telling that has come is shown, not all of them. The page's `messages.js` follows the same rules.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from smallrtc_cli.protocol.rtvi import is_rtvi

_TELLINGS: Final = {
    "bot": ("bot-output", "bot-transcription", "bot-tts-text", "bot-llm-text"),
    "you": ("user-input", "user-transcription"),
}  # from the best telling of a turn to the least

_SILENT: Final = frozenset({
    "bot-audio-level", "user-audio-level", "bot-tts-audio", "stt-raw-text", "llm-raw-text", "tts-raw-text",
    "user-llm-text", "bot-llm-marker",
})  # fmt: skip
"Too many to be read, or the raw form of what is shown."

_TURNING: Final = frozenset({"bot-llm-started", "bot-stopped-speaking", "bot-interrupted"})
"Events at which a turn of the bot is over."

_TIMED: Final = ("ttfb", "ttfa", "ttfat", "processing")  # metrics in seconds
_LONGEST: Final = 300  # characters of an event's JSON

_MOST_SEGMENTS, _MOST_TEXT = 100, 4000
"Pieces, and characters, after which a turn goes on in another line: not every bot says that it has ended."


@dataclass(slots=True)
class Line:
    """What one side said, or something that happened; `who` is `you`, `bot`, `event` or `message`."""

    id: int
    who: str
    text: str
    rest: str = ""
    "What the bot will say but has not said yet, or what may still be heard otherwise."

    final: bool = True


@dataclass(slots=True)
class _Telling:
    text: str = ""
    interim: str = ""
    segments: dict[Any, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_long(self) -> bool:
        return len(self.text) >= _MOST_TEXT or len(self.segments) >= _MOST_SEGMENTS

    def words(self) -> tuple[str, str]:
        """What was said, and what comes still."""
        said = [self.text, *(text for text, _ in self.segments.values())]
        rest = [self.interim, *(rest for _, rest in self.segments.values())]
        return _all_joined(said), _all_joined(rest)


@dataclass(slots=True)
class _Turn:
    line: Line
    tellings: dict[str, _Telling] = field(default_factory=dict)


class Conversation:
    """Feed it the messages both ways; `changed(line)` is called for a new line and whenever one changes."""

    def __init__(self, changed: Callable[[Line], object]) -> None:
        self._changed = changed
        self._ids = count(1)
        self._turn: _Turn | None = None
        self._segments: dict[Any, _Turn] = {}
        self._best = {"bot": len(_TELLINGS["bot"]), "you": len(_TELLINGS["you"])}

    def received(self, message: Mapping[str, Any]) -> None:
        """A message came over the channel."""
        if not is_rtvi(message):
            return self._line("message", _json(message))
        kind, data = str(message.get("type")), message.get("data")
        content = data if isinstance(data, Mapping) else {}
        if kind == "bot-output":
            return self._bot_output(content)
        if kind in _TELLINGS["you"]:
            return self._heard(kind, content)
        if kind in _TELLINGS["bot"]:
            return self._tell("bot", kind, add=_text(content.get("text")))
        if kind in _TURNING:
            self._end_turn("bot")
        if kind not in _SILENT:
            self.event(event_words(kind, data))
        return None

    def sent(self, message: Mapping[str, Any]) -> None:
        """A message went out."""
        data = message.get("data")
        if not is_rtvi(message):
            self._line("sent", _json(message))
        elif message.get("type") == "send-text" and isinstance(data, Mapping):
            self._line("you", _text(data.get("content")))

    def event(self, text: str) -> None:
        """Something happened."""
        self._line("event", text)

    def end(self) -> None:
        """The call is over: what was half said stays as it is."""
        self._end_turn()

    def _line(self, who: str, text: str) -> None:
        if who in _TELLINGS:
            self._end_turn()
        self._changed(Line(next(self._ids), who, text))

    def _bot_output(self, data: Mapping[str, Any]) -> None:
        if data.get("spoken") is False and "will_be_spoken" not in data:
            return  # the first generation sends all text twice
        progress = data.get("spoken_progress")
        said, rest = _text(data.get("text")), ""
        if isinstance(progress, Mapping):
            said, rest = _text(progress.get("accumulated_text")), _text(progress.get("remaining_text"))
        key = data.get("segment_id")
        own = key if isinstance(key, str | int) else object()
        turn = self._segments.get(own) or self._turn_of("bot")
        self._segments[own] = turn
        self._telling(turn, "bot-output").segments[own] = (said, rest)
        self._show(turn, "bot-output")

    def _heard(self, kind: str, data: Mapping[str, Any]) -> None:
        text = _text(data.get("text"))
        match data.get("input_type"):
            case "backchannel":
                self.event(f"you, aside: {text}")
            case "chat":
                self.event(f"the bot read: {text}")  # shown when it was sent
            case _ if data.get("final") is False:
                self._tell("you", kind, interim=text)
            case _:
                self._tell("you", kind, add=text, spaced=True)

    def _tell(self, who: str, kind: str, *, add: str = "", spaced: bool = False, interim: str = "") -> None:
        turn = self._turn_of(who)
        telling = self._telling(turn, kind)
        telling.text = _joined(telling.text, add) if spaced else telling.text + add
        telling.interim = interim
        self._show(turn, kind)

    def _telling(self, turn: _Turn, kind: str) -> _Telling:
        return turn.tellings.setdefault(kind, _Telling())

    def _turn_of(self, who: str) -> _Turn:
        if self._turn is None or self._turn.line.who != who:
            self._end_turn()
            self._turn = _Turn(Line(next(self._ids), who, "", final=False))
        return self._turn

    def _show(self, turn: _Turn, kind: str) -> None:
        line = turn.line
        order = _TELLINGS[line.who]
        self._best[line.who] = min(self._best[line.who], order.index(kind))
        known = [each for each in order if each in turn.tellings]
        best = next((each for each in known if order.index(each) <= self._best[line.who]), known[0])
        line.text, line.rest = turn.tellings[best].words()
        if len(line.text) >= _MOST_TEXT or turn.tellings[kind].is_long:
            self._end_turn()
        elif line.text or line.rest:
            self._changed(line)

    def _end_turn(self, who: str | None = None) -> None:
        turn = self._turn
        if turn is None or (who is not None and turn.line.who != who):
            return
        self._turn = None
        self._segments.clear()
        turn.line.final = True
        if turn.line.text or turn.line.rest:
            self._changed(turn.line)


def event_words(kind: str, data: Any) -> str:
    """An RTVI message in one line."""
    said = _details(kind, data)
    return f"{kind} · {said}" if said else kind


def _details(kind: str, data: Any) -> str:
    if data is None or not isinstance(data, Mapping):
        return data if isinstance(data, str) else "" if data is None else _clipped(_json(data))
    match kind:
        case "bot-ready":
            return _bot_ready(data)
        case "error" | "error-response":
            return _text(data.get("error"))
        case "system-log":
            return _text(data.get("text"))
        case "metrics":
            return _metrics(data)
        case "llm-function-call-started" | "llm-function-call-in-progress" | "llm-function-call-stopped":
            arguments = data.get("arguments")
            return _text(data.get("function_name") or "function") + (f" {_json(arguments)}" if arguments else "")
        case _:
            return _clipped(_json(data)) if data else ""


def _bot_ready(data: Mapping[str, Any]) -> str:
    about = data.get("about")
    names = [about.get("library"), about.get("library_version")] if isinstance(about, Mapping) else []
    version = data.get("version")
    return " ".join(_text(each) for each in [*names, f"RTVI {version}" if version else ""] if each)


def _metrics(data: Mapping[str, Any]) -> str:
    """Times and counts; a figure of 0 is one that a service did not measure."""
    words = []
    for kind, entries in data.items():
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, Mapping):
                words += _metric(kind, entry)
    return ", ".join(words) or "nothing measured"


def _metric(kind: str, entry: Mapping[str, Any]) -> list[str]:
    value = entry.get("value", entry.get(kind))
    if isinstance(value, int | float) and value > 0:
        processor = _text(entry.get("processor")).partition("#")[0]
        return [" ".join(filter(None, (kind, processor, f"{value:.2f} s" if kind in _TIMED else str(value))))]
    if kind == "tokens":
        return [f"tokens {entry.get('prompt_tokens', 0)} in, {entry.get('completion_tokens', 0)} out"]
    return []


def _joined(before: str, after: str) -> str:
    gap = before and after and not before[-1].isspace() and not after[0].isspace()
    return f"{before} {after}" if gap else before + after


def _all_joined(parts: list[str]) -> str:
    whole = ""
    for part in parts:
        whole = _joined(whole, part)
    return whole.strip()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
