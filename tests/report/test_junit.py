import os
import stat
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.errors import CannotRun, ExitCode
from smallrtc_cli.report.checks import Limit, Verdict, judge, overall
from smallrtc_cli.report.document import Report
from smallrtc_cli.report.junit import junit, write_junit

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
GAPS = Limit("gaps", "", 0, "breaks")
LATENCY = Limit("round_trip_p95_ms", "ms", 150, "there and back")


def _run(gaps, latency, **changes):
    checks = (judge(GAPS, gaps), judge(LATENCY, latency))
    values = {"headline": "in words", "seconds": 3.0, "checks": checks, "verdict": overall(checks)}
    return Report(**{"command": "loopback"} | values | changes)


def _suite(report):
    return ET.fromstring(junit(report, NOW)).find("testsuite")


def test_a_failed_check_is_a_failure_and_an_inconclusive_one_an_error():
    suite = _suite(_run(2, None))
    first, second = suite.findall("testcase")
    assert first.find("failure").get("message") == "gaps is 2 (limit ≤ 0)"
    assert first.find("failure").text == "in words"
    assert second.find("error").get("message").startswith("round_trip_p95_ms was not measured")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")


def test_the_dialect_is_pytests():
    root = ET.fromstring(junit(_run(0, 31), NOW))
    suite = root.find("testsuite")
    assert root.tag == "testsuites"
    assert {"name", "errors", "failures", "skipped", "tests", "time", "timestamp"} == set(suite.keys())
    assert suite.get("timestamp") == "2025-03-01T12:00:00+00:00"
    assert suite.get("time") == "3.000"
    case = suite.find("testcase")
    assert case.attrib == {"classname": "smallrtc.loopback", "name": "gaps", "time": "1.500"}
    assert len(case) == 0


def test_each_repetition_has_its_own_cases():
    report = _run(0, 31, runs=(_run(0, 31), _run(1, 31)))
    suite = _suite(report)
    names = [case.get("name") for case in suite.findall("testcase")]
    assert names == ["gaps[1]", "round_trip_p95_ms[1]", "gaps[2]", "round_trip_p95_ms[2]"]
    assert suite.get("failures") == "1"


@pytest.mark.parametrize("checks", [(), (judge(GAPS, 0),)])
def test_a_report_that_failed_is_never_green(checks):
    report = Report("loopback", Verdict.FAILED, "no call came about", 60.0, checks=checks, faults=("ICE failed",))
    suite = _suite(report)
    assert suite.get("failures") == "1"
    assert suite.find("testcase/failure").text == "no call came about\nICE failed"


@given(st.text(st.characters()))
def test_any_text_gives_well_formed_xml(text):
    report = _run(2, None, headline=text, faults=(text,), command=text)
    assert len(_suite(report).findall("testcase")) == 2


def test_control_characters_are_left_out():
    suite = _suite(_run(1, 31, headline="a\x1b[31m\x00b\ud800\ufffe"))
    assert suite.find("testcase/failure").text == "a[31mb"


def test_the_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text("old")
    write_junit(_run(0, 31), path, NOW)
    assert path.read_bytes() == junit(_run(0, 31), NOW)
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    other = tmp_path / "other"
    other.touch()
    write_junit(_run(0, 31), tmp_path / "report.xml")
    assert stat.S_IMODE((tmp_path / "report.xml").stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link.xml").symlink_to(tmp_path / "real.xml")
    write_junit(_run(0, 31), tmp_path / "link.xml")
    assert (tmp_path / "link.xml").is_symlink()
    assert (tmp_path / "real.xml").read_bytes().startswith(b"<?xml")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_junit(_run(0, 31), pipe, NOW)
        assert os.read(reader, 65536) == junit(_run(0, 31), NOW)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("path", ["missing/report.xml", "."])
def test_a_path_that_cannot_be_written_is_named_with_the_reason(tmp_path, path):
    with pytest.raises(CannotRun, match=r"the JUnit file `.*` cannot be written: \w+") as caught:
        write_junit(_run(0, 31), tmp_path / path)
    assert caught.value.exit_code is ExitCode.CANNOT_RUN
    assert list(tmp_path.iterdir()) == []
