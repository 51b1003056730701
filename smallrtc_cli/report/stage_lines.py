"""A stage for people: verdict, time, finding; what to do about it in a line below."""

from rich.text import Text

from smallrtc_cli.console import printable
from smallrtc_cli.report.stages import Mark, Stage

_STYLES = {Mark.OK: "green", Mark.WARN: "yellow", Mark.FAIL: "bold red", Mark.SKIPPED: "dim"}
_WORDS = {Mark.SKIPPED: "–"}
_WORD = 4  # columns of the longest
_TIME = 6


def stage_lines(stage: Stage) -> Text:
    """One line, and an indented one with the cure; without a final newline. Long ones are left to the terminal."""
    took = "" if stage.verdict is Mark.SKIPPED else f"{stage.seconds:.2f} s"
    word = _WORDS.get(stage.verdict, stage.verdict.value)
    lines = Text.assemble(
        " ",
        (f"{word:<{_WORD}}", _STYLES[stage.verdict]),
        "  ",
        (f"{took:>{_TIME}}", "dim"),
        "  ",
        printable(stage.detail),
    )
    if stage.cure is not None:
        lines.append(f"\n{' ' * (_WORD + _TIME + 5)}{printable(stage.cure)}")
    return lines
