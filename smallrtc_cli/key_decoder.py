"""What a terminal sends, as keys. Pure.

    m  é  日                     text is its own name, one character at a time
    enter tab backspace escape   and `delete`, `insert`, `home`, `end`, `page-up`, `page-down`
    left right up down           with modifiers too: the arrow is what counts
    ctrl-u  alt-b                the letter small

A paste that the terminal marks (`ESC [ ? 2004 h`) is text only: its line ends and tabs are spaces, so that it
neither submits a line nor is taken for commands. Sequences that nothing here knows are swallowed.
"""

import codecs
import re
import unicodedata

_TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"  # CSI, ECMA-48 5.4
    r"|\x1bO(?P<single>[ -~])"  # SS3: arrows, home and end of a keypad in application mode
    r"|\x1b(?P<alt>[^\x1b])"
    r"|(?P<character>[^\x1b])"
)
_UNFINISHED = re.compile(r"\x1b(\[[0-?]{0,32}[ -/]{0,4}|O)?\Z")
_FINALS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "M": "enter", "Z": "tab"}
_NUMBERS = {"1": "home", "2": "insert", "3": "delete", "4": "end", "5": "page-up", "6": "page-down"}
_NUMBERS |= {"7": "home", "8": "end"}  # rxvt's
_CONTROLS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x08": "backspace", "\x7f": "backspace"}
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # within emoji and Indic letters
_PASTE_BEGINS, _PASTE_ENDS = "200", "201"


class KeyDecoder:
    """Takes bytes as they come; a character or a sequence may be torn anywhere."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._pasting = False

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete with `data`."""
        text, self._pending = self._pending + self._text.decode(data), ""
        keys: list[str] = []
        at = 0
        while at < len(text):
            if _UNFINISHED.match(text, at):
                self._pending = text[at:]
                break
            token = _TOKEN.match(text, at)
            at = token.end() if token else at + 1
            keys += self._keys(token) if token else ["escape"]
        return keys

    @property
    def waiting(self) -> bool:
        """Whether what came last may be Escape, or the start of something longer: `flush` after a while decides."""
        return bool(self._pending)

    def flush(self) -> list[str]:
        """Nothing follows: a lone ESC was Escape, the start of a sequence was nothing."""
        pending, self._pending = self._pending, ""
        return ["escape"] if pending == "\x1b" and not self._pasting else []

    def _keys(self, token: re.Match[str]) -> list[str]:
        if token["final"] == "~" and token["parameters"] in (_PASTE_BEGINS, _PASTE_ENDS):
            self._pasting = token["parameters"] == _PASTE_BEGINS
            return []
        key = _name(token)
        if not self._pasting:
            return [key] if key else []
        if key in ("enter", "tab"):
            return [" "]
        return [key] if len(key) == 1 else []


def _name(token: re.Match[str]) -> str:
    """The key's name; empty where it has none."""
    if character := token["character"]:
        return _character(character)
    if letter := token["alt"]:
        key = _character(letter)
        return f"alt-{key}" if key else ""
    if token["final"] == "~":
        return _NUMBERS.get(token["parameters"].partition(";")[0], "")
    return _FINALS.get(token["final"] or token["single"], "")


def _character(character: str) -> str:
    if character in _CONTROLS:
        return _CONTROLS[character]
    if "\x01" <= character <= "\x1a":
        return f"ctrl-{chr(ord(character) + 0x60)}"
    return character if character in _JOINERS or unicodedata.category(character) not in _INVISIBLE else ""
