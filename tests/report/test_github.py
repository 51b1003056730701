import pytest

from smallrtc_cli.errors import CannotRun
from smallrtc_cli.report.checks import Limit, Sense, Verdict, judge
from smallrtc_cli.report.document import Report
from smallrtc_cli.report.github import annotations, publish, summary

GAPS = Limit("gaps", "", 0, "breaks")
FAILED = Report("loopback", Verdict.FAILED, "the sound breaks off", 3.8, checks=(judge(GAPS, 2),))
PASSED = Report("loopback", Verdict.PASSED, "the audio path is healthy", 3.8, checks=(judge(GAPS, 0),))


def test_a_failed_check_is_annotated_and_a_passed_one_is_not():
    assert annotations(FAILED) == ["gaps is 2 (limit ≤ 0)"]
    assert annotations(PASSED) == []


def test_an_annotation_names_the_run():
    report = Report("loopback", Verdict.FAILED, "1 of 2 failed", 8.0, runs=(PASSED, FAILED))
    assert annotations(report) == ["run 2: gaps is 2 (limit ≤ 0)"]


def test_a_failure_without_a_failed_check_is_annotated_with_the_headline():
    assert annotations(Report("loopback", Verdict.FAILED, "no call came about", 60.0)) == ["no call came about"]


def test_the_summary_shows_verdict_and_checks():
    lines = summary(FAILED).splitlines()
    assert lines[0] == "### ❌ smallrtc loopback: failed"
    assert "the sound breaks off (3.8 s)" in lines
    assert "| gaps | 2 | ≤ 0 | ❌ failed |" in lines


def test_the_summary_shows_the_sense_of_each_limit():
    snr = Limit("snr_db", "dB", 15, "", Sense.AT_LEAST)
    drift = Limit("drift_ppm", "ppm", 300, "", Sense.WITHIN)
    report = Report("loopback", Verdict.PASSED, "", 1.0, checks=(judge(snr, 20), judge(drift, -7)))
    assert "| snr_db | 20 dB | ≥ 15 dB |" in summary(report)
    assert "| drift_ppm | -7 ppm | ± 300 ppm |" in summary(report)


def test_text_from_elsewhere_cannot_break_the_table():
    limit = Limit("a|b", "", 0, "")
    report = Report("loopback", Verdict.FAILED, "<b>\nx", 1.0, checks=(judge(limit, 1),))
    assert "| a\\|b | 1 | ≤ 0 |" in summary(report)
    assert "&lt;b> x (1.0 s)" in summary(report)


def test_publishing_appends_to_the_step_summary_and_leaves_stdout_alone(tmp_path, capsys):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    publish(FAILED, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text(encoding="utf-8") == "before\n" + summary(FAILED)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "::error title=smallrtc loopback::gaps is 2 (limit ≤ 0)\n"


def test_outside_of_github_nothing_is_published(tmp_path, capsys):
    publish(FAILED, {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")})
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(CannotRun, match="the step summary"):
        publish(PASSED, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)})
