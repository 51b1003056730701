"""A report as JUnit XML, in pytest's dialect, which CI servers read.

One test case per check and repetition: a failed check is a `<failure>`, an inconclusive one an `<error>`.
Any text gives well-formed XML: characters that XML 1.0 does not allow are left out. A file appears whole or
not at all.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from smallrtc_cli.errors import CannotRun
from smallrtc_cli.report.checks import Verdict
from smallrtc_cli.report.document import Report

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # Char, XML 1.0 section 2.2


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    seconds: float
    verdict: Verdict
    message: str
    body: str


def junit(report: Report, timestamp: datetime) -> bytes:
    """The XML document in UTF-8, with its declaration; `timestamp` is when the run began."""
    cases = [case for number, run in _runs(report) for case in _cases(run, number)]
    suites = ET.Element("testsuites", name="smallrtc")
    suite = ET.SubElement(suites, "testsuite", _counts(report, cases, timestamp))
    for case in cases:
        _append(suite, f"smallrtc.{report.command}", case)
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _runs(report: Report) -> Iterator[tuple[str, Report]]:
    if not report.runs:
        yield "", report
    for number, run in enumerate(report.runs, start=1):
        yield f"[{number}]", run


def _cases(run: Report, number: str) -> list[_Case]:
    """One case per check; one more when the run did not pass though each check did, so that it shows."""
    body = "\n".join([run.headline, *run.faults])
    found = [(check.name, check.verdict, check.detail) for check in run.checks]
    if all(verdict is Verdict.PASSED for _, verdict, _ in found) and (not found or run.verdict is not Verdict.PASSED):
        found.append((run.command, run.verdict, run.headline))
    share = run.seconds / len(found)  # the run's time in equal parts: the sum is right, a part means nothing
    return [_Case(name + number, share, verdict, message, body) for name, verdict, message in found]


def _counts(report: Report, cases: list[_Case], timestamp: datetime) -> dict[str, str]:
    verdicts = [case.verdict for case in cases]
    return {
        "name": _legal(f"smallrtc {report.command}"),
        "errors": str(verdicts.count(Verdict.INCONCLUSIVE)),
        "failures": str(verdicts.count(Verdict.FAILED)),
        "skipped": "0",
        "tests": str(len(cases)),
        "time": f"{sum(case.seconds for case in cases):.3f}",
        "timestamp": timestamp.isoformat(),
    }


def _append(suite: ET.Element, classname: str, case: _Case) -> None:
    attributes = {"classname": _legal(classname), "name": _legal(case.name), "time": f"{case.seconds:.3f}"}
    element = ET.SubElement(suite, "testcase", attributes)
    if case.verdict is not Verdict.PASSED:
        tag = "failure" if case.verdict is Verdict.FAILED else "error"
        ET.SubElement(element, tag, message=_legal(case.message)).text = _legal(case.body)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)


def write_junit(report: Report, path: Path, timestamp: datetime | None = None) -> None:
    """Write the document to `path`, atomically where it is a file; a device or a pipe is written to directly.

    Raises CannotRun, with the system's reason, when the path cannot be written.
    """
    content = junit(report, timestamp or datetime.now(UTC))
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except OSError as error:
        raise CannotRun(
            f"the JUnit file `{path}` cannot be written: {_reason(error)}",
            hint="give `--junit` a file in a directory that exists and is yours to write",
        ) from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in the place of `path`; a symbolic link was resolved before, so that it stays one."""
    draft = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
