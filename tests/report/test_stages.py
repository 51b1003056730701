import json

import pytest

from smallrtc_cli.report.stage_lines import stage_lines
from smallrtc_cli.report.stages import Mark, Stage, document, encode, skipped, worst

OK = Stage("dns", Mark.OK, "DNS answers", None, 0.0123456)
WARN = Stage("interfaces", Mark.WARN, "`tun0` is a VPN", "use `--interface eth0`")
FAIL = Stage("stun:h:3478", Mark.FAIL, "stun:h:3478: no answer in 2 s", "it is down", 2.0)
SKIPPED = skipped("dtls", "DTLS", "ICE")


@pytest.mark.parametrize(
    ("stages", "verdict"),
    [
        ([], Mark.OK),
        ([OK], Mark.OK),
        ([OK, SKIPPED], Mark.OK),
        ([OK, WARN], Mark.WARN),
        ([FAIL, WARN, SKIPPED, OK], Mark.FAIL),
    ],
)
def test_the_worst_stage_gives_the_verdict_and_a_skipped_one_none(stages, verdict):
    assert worst(stages) is verdict


def test_the_document_has_the_stages_in_order_with_all_keys():
    assert document("doctor", [OK, FAIL]) == {
        "version": 1,
        "command": "doctor",
        "verdict": "fail",
        "stages": [
            {"name": "dns", "verdict": "ok", "detail": "DNS answers", "cure": None, "seconds": 0.012},
            {
                "name": "stun:h:3478",
                "verdict": "fail",
                "detail": "stun:h:3478: no answer in 2 s",
                "cure": "it is down",
                "seconds": 2.0,
            },
        ],
    }


def test_scripts_know_three_verdicts_and_a_skipped_stage_is_a_warning_that_says_so():
    (entry,) = document("doctor", [SKIPPED])["stages"]
    assert (entry["verdict"], entry["detail"]) == ("warn", "DTLS skipped: needs ICE")


def test_the_text_is_ascii_and_reads_back():
    stages = [Stage("ice", Mark.OK, "host → srflx")]
    text = encode("doctor", stages)
    assert text.isascii()
    assert json.loads(text) == document("doctor", stages)


def test_a_line_has_verdict_seconds_and_finding_and_the_cure_stands_below_it():
    assert stage_lines(FAIL).plain.splitlines() == [
        " fail  2.00 s  stun:h:3478: no answer in 2 s",
        "               it is down",
    ]


def test_a_stage_without_a_cure_is_one_line_and_a_skipped_one_has_no_time():
    assert stage_lines(OK).plain == " ok    0.01 s  DNS answers"
    assert stage_lines(SKIPPED).plain == " –             DTLS skipped: needs ICE"


def test_what_a_stranger_said_cannot_steer_the_terminal():
    assert "\x1b" not in stage_lines(Stage("status", Mark.OK, "bot \x1b[2J", "\x1b]0;x")).plain
