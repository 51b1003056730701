import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from smallrtc_cli.report.checks import Verdict
from smallrtc_cli.report.table import Row, table

ROWS = [
    Row("connect", "signalling 3 · ICE 2 · DTLS 3 · data channel 10 · first audio 10 ms"),
    Row("audio", "round trip 31 ms (p95 32)", "150", Verdict.PASSED),
    Row("audio", "signal to noise 28 dB", "15", Verdict.FAILED),
    Row("messages", "round trip 0.3 ms (p99 0.9)", "250", Verdict.INCONCLUSIVE),
]


def _lines(width=80, verdict=Verdict.PASSED, headline="the audio path is healthy", rows=ROWS, faults=()):
    return table(verdict, headline, 3.84, rows, width=width, faults=faults).plain.split("\n")


def test_the_answer_comes_first_with_the_time_it_took():
    first, blank, *_ = _lines()
    assert first.startswith("passed   the audio path is healthy  ")
    assert first.endswith("  3.8 s")
    assert blank == ""


def test_what_went_wrong_comes_before_the_evidence():
    lines = _lines(verdict=Verdict.FAILED, headline="the sound breaks off", faults=["3 gaps, the longest 40 ms"])
    assert lines[0].startswith("failed   the sound breaks off")
    assert lines[1] == "   3 gaps, the longest 40 ms"
    assert lines[2] == ""


def test_a_group_is_named_once_and_columns_stand_below_each_other():
    body = _lines(width=80)[2:]
    assert [line.split()[0] for line in body] == ["connect", "audio", "signal", "messages"]
    assert len({line.index("limit") for line in body[1:]}) == 1
    assert body[1].endswith("limit 150  ok")
    assert body[2].endswith("limit 15   failed")
    assert body[3].endswith("limit 250  inconclusive")


def test_a_row_without_a_limit_reaches_over_the_columns_and_wraps_below_its_text():
    rows = [Row("connect", "one " * 24), Row("audio", "gaps 0", "0", Verdict.PASSED)]
    first, second, last = _lines(rows=rows)[2:]
    assert first.index("one") == second.index("one") == last.index("gaps")
    assert last.endswith("gaps 0  limit 0  ok")


def test_a_limit_without_a_verdict_is_shown_at_any_width():
    for width in (20, 80):
        assert "limit 150 ms" in "\n".join(_lines(width, rows=[Row("audio", "round trip 31 ms", "150 ms")]))


def test_no_line_ends_in_blanks():
    for width in (40, 80, 120):
        assert all(line == line.rstrip() for line in _lines(width))


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100])
def test_a_report_keeps_within_the_terminal(width):
    lines = _lines(width, faults=["a fault that has a lot to say about what it was that went wrong here"])
    assert max(map(cell_len, lines)) <= width


def test_a_narrow_terminal_loses_nothing():
    words = " ".join(_lines(width=30)).split()
    for row in ROWS:
        assert set(row.text.split()) <= set(words)
    assert {"ok", "failed", "inconclusive", "150", "15"} <= set(words)


def test_wide_characters_count_double():
    rows = [Row("音声", "往復 31 ms", "150", Verdict.PASSED), Row("audio", "x", "150", Verdict.PASSED)]
    first, second = _lines(rows=rows)[2:]
    assert cell_len(first) == cell_len(second)


def test_a_report_without_evidence_is_one_line():
    assert len(_lines(rows=[])) == 1


def test_text_is_not_markup():
    assert "[red]x[/red]" in _lines(headline="[red]x[/red]")[0]


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"])), st.integers(1, 200))
def test_any_width_can_be_laid_out(headline, width):
    assert _lines(width=width, headline=headline)[0].startswith("passed")
