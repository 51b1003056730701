"""A report for GitHub Actions: an annotation for each failed check, and the step's summary in Markdown.

Outside of GitHub Actions `publish` does nothing.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from smallrtc_cli import console
from smallrtc_cli.errors import CannotRun
from smallrtc_cli.report.checks import Check, Verdict, quantity
from smallrtc_cli.report.document import Report

_MARKS = {Verdict.PASSED: "✅", Verdict.FAILED: "❌", Verdict.INCONCLUSIVE: "❔"}


def publish(report: Report, environ: Mapping[str, str] | None = None) -> None:
    """Annotate what failed and append the summary to the file GITHUB_STEP_SUMMARY, if the runner gave one.

    Raises CannotRun when that file cannot be written.
    """
    variables = os.environ if environ is None else environ
    if not variables.get("GITHUB_ACTIONS"):
        return
    for message in annotations(report):
        console.annotate(message, f"smallrtc {report.command}")
    if path := variables.get("GITHUB_STEP_SUMMARY"):
        _append(Path(path), summary(report))


def annotations(report: Report) -> list[str]:
    """A sentence for each failed check of each run; the headline where a failed run has none."""
    sentences = []
    for number, run in enumerate(report.runs or (report,), start=1):
        prefix = f"run {number}: " if report.runs else ""
        failed = [check.detail for check in run.checks if check.verdict is Verdict.FAILED]
        if run.verdict is Verdict.FAILED:
            sentences += [prefix + sentence for sentence in failed or [run.headline]]
    return sentences


def summary(report: Report) -> str:
    """The report in GitHub's Markdown, ending in a blank line."""
    lines = [f"### {_MARKS[report.verdict]} smallrtc {report.command}: {report.verdict.value}", ""]
    lines += [f"{_cell(report.headline)} ({report.seconds:.1f} s)", ""]
    lines += [f"- {_cell(fault)}" for fault in report.faults] + [""] * bool(report.faults)
    if report.checks:
        lines += ["| check | value | limit | |", "|---|---:|---:|---|", *map(_row, report.checks), ""]
    return "\n".join(lines) + "\n"


def _row(check: Check) -> str:
    value = "–" if check.value is None else quantity(check.value, check.unit)
    return f"| {_cell(check.name)} | {value} | {check.bound} | {_MARKS[check.verdict]} {check.verdict.value} |"


def _cell(text: str) -> str:
    """Text that neither ends a table cell nor begins HTML."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _append(path: Path, markdown: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(markdown)
    except OSError as error:
        raise CannotRun(
            f"the step summary `{path}` cannot be written: {(error.strerror or str(error)).lower()}",
            hint="unset GITHUB_STEP_SUMMARY to do without it",
        ) from error
