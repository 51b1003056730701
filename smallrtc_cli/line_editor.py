"""A line that is being typed. Pure: keys in, text and cursor out.

It is held as what people take for one character each: a letter with its accents, an emoji with its modifiers. The
cursor stands between these, and Backspace takes a whole one away.
"""

import unicodedata
from collections import deque
from dataclasses import dataclass

_MOST = 10_000
_REMEMBERED = 100
_LONGEST = 32  # code points in one; the longest emoji has 10
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


@dataclass(frozen=True, slots=True)
class Submitted:
    """Enter was pressed: this is the line."""

    text: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Escape was pressed, or Enter on a blank line."""


def clusters(text: str) -> list[str]:
    """The text in pieces that people take for one character each."""
    pieces: list[str] = []
    for character in text:
        if pieces and _belongs_to(pieces[-1], character):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _belongs_to(piece: str, character: str) -> bool:
    if len(piece) >= _LONGEST:
        return False
    modifies = unicodedata.category(character) in ("Mn", "Me", "Mc") or ord(character) in _SKIN_TONES
    return modifies or character == _JOINER or piece.endswith(_JOINER)


class LineEditor:
    """One line and those submitted before it; empty again after each `Submitted` and `Cancelled`.

    Takes 10,000 characters and remembers 100 lines; `dropped` counts the characters that were too many.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._before: list[str] = []
        self._after: list[str] = []
        self._history: deque[str] = deque(maxlen=_REMEMBERED)
        self._back = 0
        "How many lines back in history; 0 is the line that is being typed."

        self._draft = ""

    @property
    def text(self) -> str:
        return "".join(self._before + self._after)

    def view(self) -> tuple[str, int]:
        """The text, and the cursor's place in it in code points: `CallPicture.typing`."""
        return self.text, len("".join(self._before))

    def press(self, key: str) -> Submitted | Cancelled | None:
        """Take a key as `KeyDecoder` names it; keys without a meaning here change nothing."""
        match key:
            case "enter":
                return self._submit()
            case "escape":
                self._start_over()
                return Cancelled()
            case "up":
                self._recall(self._back + 1)
            case "down":
                self._recall(self._back - 1)
            case _ if len(key) == 1:
                self._insert(key)
            case _:
                self._before, self._after = _edited(key, self._before, self._after)
        return None

    def _submit(self) -> Submitted | Cancelled:
        text = self.text
        self._start_over()
        if not text.strip():
            return Cancelled()
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        return Submitted(text)

    def _start_over(self) -> None:
        self._before, self._after, self._back, self._draft = [], [], 0, ""

    def _insert(self, character: str) -> None:
        if len(self._before) + len(self._after) >= _MOST:
            self.dropped += 1
        elif self._before and _belongs_to(self._before[-1], character):
            self._before[-1] += character
        else:
            self._before.append(character)

    def _recall(self, back: int) -> None:
        if not 0 <= back <= len(self._history):
            return
        if self._back == 0:
            self._draft = self.text
        self._back = back
        self._before, self._after = clusters(self._history[-back] if back else self._draft), []


def _edited(key: str, before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """What is before and after the cursor once a key was pressed; the control keys are those of every shell."""
    match key:
        case "left" | "ctrl-b":
            return before[:-1], before[-1:] + after
        case "right" | "ctrl-f":
            return before + after[:1], after[1:]
        case "home" | "ctrl-a":
            return [], before + after
        case "end" | "ctrl-e":
            return before + after, []
        case "backspace":
            return before[:-1], after
        case "delete" | "ctrl-d":
            return before, after[1:]
        case "ctrl-u":
            return [], after
        case "ctrl-k":
            return before, []
        case "ctrl-w":
            return _without_last_word(before), after
    return before, after


def _without_last_word(before: list[str]) -> list[str]:
    end = len(before)
    while end and before[end - 1].isspace():
        end -= 1
    while end and not before[end - 1].isspace():
        end -= 1
    return before[:end]
