"""Typer's words for what was mistyped, in our style."""

import re
from difflib import SequenceMatcher

from smallrtc_cli.errors import UsageError

_CLOSE = 0.7  # of letters in common: `bogus` is 0.5 of `verbose`, `verson` 0.9 of `version`


def usage_error(error: Exception, command: str) -> UsageError:
    """Typer's words in our style; the hint is the closest thing that is right, or the help of `command`."""
    sentence, closest = _said(error)
    hint = f"did you mean {_quoted(closest)}?" if closest else f"`{command} --help` lists what there is"
    return UsageError(_quoted(sentence[:1].lower() + sentence[1:].rstrip(".")), hint=hint)


def _said(error: Exception) -> tuple[str, str | None]:
    """The sentence and the suggestions, which typer keeps apart for options and joins for commands."""
    if possible := getattr(error, "possibilities", None):
        typed = str(getattr(error, "option_name", ""))
        return str(error), ", ".join(sorted(known for known in possible if _is_close(typed, known))) or None
    message = str(getattr(error, "format_message", error.__str__)())
    sentence, _, closest = message.partition(". Did you mean ")
    return sentence, closest.rstrip("?") or None


def _is_close(typed: str, known: str) -> bool:
    """Whether one may be meant by the other: the dashes, which all options have, do not count."""
    typed, known = typed.lstrip("-"), known.lstrip("-")
    return known.startswith(typed) or SequenceMatcher(None, typed, known).ratio() >= _CLOSE


def _quoted(text: str) -> str:
    """Put what was typed, in quotes or parentheses or as an option, into backticks."""
    text = text.replace("(s)", "")  # "argument(s)"
    text = re.sub(r"'([^']*)'|\(([^()]*)\)$", lambda match: f"`{match[1] or match[2] or ''}`", text)
    return re.sub(r"(?<![`\w-])(--?[A-Za-z][\w-]*)", r"`\1`", text)
