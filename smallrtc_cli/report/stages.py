"""An examination stage by stage, as `doctor` makes it: pure values, what they sum up to, and the JSON document."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smallrtc_cli.report.document import VERSION, plain


class Mark(StrEnum):
    """What a stage came to, from good to bad."""

    OK = "ok"
    SKIPPED = "skipped"
    "It needs an earlier one that failed."
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Stage:
    """One finding: `name` for scripts, `detail` a sentence for people, `cure` what to do, `seconds` what it took."""

    name: str
    verdict: Mark
    detail: str
    cure: str | None = None
    seconds: float = 0.0


def skipped(name: str, subject: str, needs: str) -> Stage:
    """A stage that was not looked at, because what it needs is not there."""
    return Stage(name, Mark.SKIPPED, f"{subject} skipped: needs {needs}")


def worst(stages: Iterable[Stage]) -> Mark:
    """One that fails fails the whole; what was skipped changes nothing: the failure is elsewhere."""
    seen = {stage.verdict for stage in stages}
    return next((mark for mark in (Mark.FAIL, Mark.WARN) if mark in seen), Mark.OK)


def document(command: str, stages: Sequence[Stage]) -> dict[str, Any]:
    """The examination as JSON values. Scripts know three verdicts: what was skipped is a `warn` that says so."""
    return {
        "version": VERSION,
        "command": command,
        "verdict": worst(stages).value,
        "stages": [_entry(stage) for stage in stages],
    }


def _entry(stage: Stage) -> dict[str, Any]:
    verdict = Mark.WARN if stage.verdict is Mark.SKIPPED else stage.verdict
    return {
        "name": stage.name,
        "verdict": verdict.value,
        "detail": stage.detail,
        "cure": stage.cure,
        "seconds": plain(round(stage.seconds, 3)),
    }


def encode(command: str, stages: Sequence[Stage]) -> str:
    """The document as text: ASCII alone, without a final newline."""
    return json.dumps(document(command, stages), indent=2, allow_nan=False, ensure_ascii=True)
