"""What made-up calls come to: figures, verdicts, the document, the table."""

import json
from dataclasses import replace

import pytest

from smallrtc_cli.audio.analysis import AudioAnalysis, Channels, RoundTrip, Speed, Stretch
from smallrtc_cli.bots.caller import Messages
from smallrtc_cli.commands import loopback_report
from smallrtc_cli.commands.loopback_limits import LIMITS
from smallrtc_cli.commands.loopback_report import Connect, Measured, Network
from smallrtc_cli.report.checks import Verdict, override
from smallrtc_cli.report.document import encode
from smallrtc_cli.report.table import table

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE

CONNECT = Connect(signalling_ms=3, ice_ms=2, dtls_ms=3, data_channel_ms=10, first_audio_ms=31)
SOUND = AudioAnalysis(
    enough=True,
    heard=True,
    sought=70,
    located=69,
    unrecognised=1,
    round_trip_ms=RoundTrip(p50=31.2, p95=32.5, max=40, samples=69),
    jitter_ms=0.5,
    drift_ppm=1.5,
    snr_db=28.4,
    level_change_db=-0.2,
    channels=Channels.OK,
    head_ms=3,
    tail_ms=4,
)
MESSAGES = Messages(sent=200, lost=0, reordered=0, round_trips={1: [0.001] * 99 + [0.002], 64_000: [0.004]})
NETWORK = Network(
    packets_sent=90, packets_received=100, packets_lost=0, jitter_ms=0, rtcp_round_trip_ms=1, cpu_percent=12
)
HEALTHY = Measured(CONNECT, SOUND, MESSAGES, NETWORK)

NOTHING_BACK = AudioAnalysis(enough=True, heard=False, sought=70)
HALF_SPEED = AudioAnalysis(
    enough=True,
    heard=True,
    sought=70,
    located=68,
    snr_db=25,
    level_change_db=0,
    channels=Channels.OK,
    speed=Speed(48_000, 24_000),
)
TOO_SHORT = AudioAnalysis(enough=False, heard=True, sought=2)


def _judged(audio=SOUND, limits=(), **measured):
    return loopback_report.judged(replace(HEALTHY, audio=audio, **measured), override(LIMITS, limits), 3.84)


def _verdicts(report):
    return {check.name: check.verdict for check in report.checks}


def _values(report):
    return {check.name: check.value for check in report.checks}


def _but(**changes):
    """All passed but these."""
    return {limit.name: PASSED for limit in LIMITS} | changes


def _lines(report, width, limits=LIMITS):
    rows = loopback_report.rows(report, limits)
    text = table(report.verdict, report.headline, report.seconds, rows, width=width, faults=report.faults)
    return text.plain.split("\n")


# Figures and verdicts


def test_a_healthy_call_passes_every_check():
    report = _judged()
    assert (report.verdict, report.headline, report.faults) == (PASSED, "the audio path is healthy", ())
    assert _verdicts(report) == _but()
    assert report.seconds == 3.84


def test_each_check_holds_the_figure_of_its_name():
    assert _values(_judged()) == {
        "recognised_pct": pytest.approx(98.57, abs=0.01),
        "pitch_error_pct": 0,
        "channel_faults": 0,
        "round_trip_p95_ms": 32.5,
        "snr_db": 28.4,
        "gaps": 0,
        "lost_samples": 0,
        "inserted_samples": 0,
        "cut_off_ms": 7,
        "drift_ppm": 1.5,
        "level_change_db": -0.2,
        "first_audio_ms": 31,
        "data_channel_ms": 10,
        "message_round_trip_p99_ms": pytest.approx(4, abs=2.1),
        "messages_lost": 0,
        "messages_reordered": 0,
        "packets_lost": 0,
    }


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("recognised_pct", {"audio": replace(SOUND, located=30, unrecognised=40)}),
        ("channel_faults", {"audio": replace(SOUND, channels=Channels.SWAPPED)}),
        ("channel_faults", {"audio": replace(SOUND, channels=Channels.MERGED)}),
        ("channel_faults", {"audio": replace(SOUND, channels=Channels.ONE_SIDED)}),
        ("round_trip_p95_ms", {"audio": replace(SOUND, round_trip_ms=RoundTrip(100, 151, 200, 69))}),
        ("snr_db", {"audio": replace(SOUND, snr_db=14)}),
        ("gaps", {"audio": replace(SOUND, gap_places=(Stretch(1.0, 20.0),))}),
        ("lost_samples", {"audio": replace(SOUND, lost_samples=960)}),
        ("inserted_samples", {"audio": replace(SOUND, inserted_samples=960)}),
        ("cut_off_ms", {"audio": replace(SOUND, head_ms=30, tail_ms=31)}),
        ("drift_ppm", {"audio": replace(SOUND, drift_ppm=-301)}),
        ("level_change_db", {"audio": replace(SOUND, level_change_db=-3.01)}),
        ("first_audio_ms", {"connect": replace(CONNECT, first_audio_ms=1001)}),
        ("data_channel_ms", {"connect": replace(CONNECT, data_channel_ms=2001)}),
        ("message_round_trip_p99_ms", {"messages": replace(MESSAGES, round_trips={1: [0.251]})}),
        ("messages_lost", {"messages": replace(MESSAGES, lost=1)}),
        ("messages_reordered", {"messages": replace(MESSAGES, reordered=1)}),
        ("packets_lost", {"network": replace(NETWORK, packets_lost=1)}),
    ],
)
def test_one_fault_fails_its_check_and_no_other(name, measured):
    report = _judged(**measured)
    assert _verdicts(report) == _but(**{name: FAILED})
    assert report.verdict is FAILED


@pytest.mark.parametrize("channels", [Channels.OK, Channels.MONO])
def test_mono_is_no_fault_of_the_channels(channels):
    assert _verdicts(_judged(replace(SOUND, channels=channels)))["channel_faults"] is PASSED


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("drift_ppm", {"audio": replace(SOUND, drift_ppm=None)}),
        ("round_trip_p95_ms", {"audio": replace(SOUND, round_trip_ms=None)}),
        ("snr_db", {"audio": replace(SOUND, snr_db=None)}),
        ("channel_faults", {"audio": replace(SOUND, channels=None)}),
        ("first_audio_ms", {"connect": replace(CONNECT, first_audio_ms=None)}),
        ("packets_lost", {"network": replace(NETWORK, packets_lost=None)}),
        ("message_round_trip_p99_ms", {"messages": replace(MESSAGES, round_trips={})}),
    ],
)
def test_what_was_not_measured_is_inconclusive(name, measured):
    report = _judged(**measured)
    assert _verdicts(report) == _but(**{name: INCONCLUSIVE})
    assert (report.verdict, _values(report)[name]) == (INCONCLUSIVE, None)
    assert name in report.headline


def test_no_message_was_lost_only_where_one_was_sent():
    verdicts = _verdicts(_judged(messages=Messages()))
    assert verdicts["messages_lost"] is verdicts["messages_reordered"] is INCONCLUSIVE


def test_a_limit_that_was_typed_counts():
    gap = replace(SOUND, gap_places=(Stretch(1.0, 20.0),))
    assert _judged(gap, ["gaps=1"]).verdict is PASSED
    assert _judged(limits=["snr_db=30"]).verdict is FAILED


# What is in doubt


def test_nothing_that_came_back_is_said_in_these_words():
    report = _judged(NOTHING_BACK, connect=replace(CONNECT, first_audio_ms=None))
    assert (report.verdict, report.headline) == (FAILED, "nothing came back")
    verdicts = _verdicts(report)
    assert verdicts.pop("recognised_pct") is FAILED
    messages = {name for name, verdict in verdicts.items() if verdict is PASSED}
    assert messages == {
        "data_channel_ms",
        "message_round_trip_p99_ms",
        "messages_lost",
        "messages_reordered",
        "packets_lost",
    }
    assert FAILED not in verdicts.values()


def test_a_wrong_speed_fails_and_leaves_open_what_follows_from_it():
    report = _judged(HALF_SPEED)
    assert report.verdict is FAILED
    assert report.headline == (
        "the sound comes back at half speed: 48 kHz audio is played as 24 kHz, or stereo as mono (pitch 0.500)"
    )
    doubtful = ("round_trip_p95_ms", "gaps", "lost_samples", "inserted_samples", "cut_off_ms", "drift_ppm")
    assert _verdicts(report) == _but(
        pitch_error_pct=FAILED, level_change_db=INCONCLUSIVE, **dict.fromkeys(doubtful, INCONCLUSIVE)
    )
    assert _values(report)["pitch_error_pct"] == -50


def test_another_sound_than_the_one_that_was_sent_fails():
    report = _judged(AudioAnalysis(enough=True, heard=True, sought=70))
    assert (report.verdict, report.headline) == (FAILED, "what came back is not the sound that was sent")
    assert _verdicts(report)["gaps"] is _verdicts(report)["pitch_error_pct"] is INCONCLUSIVE


def test_too_little_sound_is_inconclusive():
    report = _judged(TOO_SHORT)
    assert report.verdict is INCONCLUSIVE
    assert report.headline.startswith("there is too little to judge: recognised_pct was not measured")
    assert FAILED not in _verdicts(report).values()


# The headline


def test_the_headline_is_the_worst_fault_and_the_faults_have_them_all():
    report = _judged(replace(SOUND, channels=Channels.SWAPPED, gap_places=(Stretch(1.0, 20.0),)))
    assert report.headline == "left and right are swapped"
    assert report.faults == ("left and right are swapped", "a gap of 20 ms at 1.00 s")


def test_the_headline_names_what_failed_and_not_a_fault_that_the_limits_allow():
    late_start = replace(SOUND, head_ms=45)
    report = _judged(late_start, messages=replace(MESSAGES, lost=3))
    assert report.headline == "messages_lost is 3 (limit ≤ 0)"
    assert report.faults == ("the first 45 ms of the sound did not come back",)


def test_a_passed_call_has_no_faults():
    assert _judged(replace(SOUND, head_ms=45)).faults == ()


# Several calls


def test_several_healthy_calls_are_healthy():
    report = loopback_report.summed_up([_judged()] * 3)
    assert (report.verdict, report.headline) == (PASSED, "all 3 calls are healthy")
    assert report.seconds == pytest.approx(3 * 3.84)
    assert len(report.runs) == 3


def test_the_worst_of_several_calls_is_shown_and_those_like_it_are_counted():
    runs = [_judged(), _judged(TOO_SHORT), _judged(NOTHING_BACK), _judged(NOTHING_BACK)]
    report = loopback_report.summed_up(runs)
    assert (report.verdict, report.headline) == (FAILED, "2 of 4 calls failed: nothing came back")
    assert (report.checks, report.measurements, report.faults) == (
        runs[2].checks,
        runs[2].measurements,
        runs[2].faults,
    )


def test_one_open_call_leaves_the_whole_open():
    report = loopback_report.summed_up([_judged(), _judged(TOO_SHORT)])
    assert report.verdict is INCONCLUSIVE
    assert report.headline.startswith("1 of 2 calls inconclusive: there is too little to judge")


# The document


@pytest.mark.parametrize("audio", [SOUND, NOTHING_BACK, HALF_SPEED, TOO_SHORT])
def test_the_document_has_the_shape_that_was_promised(audio):
    document = json.loads(encode(_judged(audio)))
    assert (document["version"], document["command"]) == (1, "loopback")
    assert document["verdict"] in ("passed", "failed", "inconclusive")
    assert [set(check) for check in document["checks"]] == [{"name", "value", "unit", "limit", "verdict"}] * len(LIMITS)
    measurements = document["measurements"]
    assert set(measurements["connect"]) == {
        "signalling_ms",
        "ice_ms",
        "dtls_ms",
        "data_channel_ms",
        "first_audio_ms",
    }
    assert set(measurements["audio"]["round_trip_ms"]) == {"p50", "p95", "max", "samples"}
    assert set(measurements["audio"]) >= {"snr_db", "level_change_db", "gaps", "gap_ms", "drift_ppm"}
    assert set(measurements["data"]["round_trip_ms"]) == {"p50", "p99"}
    assert set(measurements["data"]) >= {"sent", "lost", "reordered"}
    assert set(document["environment"]) >= {"python", "platform", "smallrtc-cli", "aiortc", "aioice", "av"}


def test_the_document_has_the_figures_in_milliseconds():
    measurements = json.loads(encode(_judged()))["measurements"]
    assert measurements["audio"]["round_trip_ms"] == {"p50": 31.2, "p95": 32.5, "max": 40, "samples": 69}
    assert measurements["audio"]["channels"] == "ok"
    assert measurements["data"]["round_trip_ms"]["p50"] == pytest.approx(1)
    assert measurements["data"]["round_trip_by_size_ms"] == {"1": pytest.approx(1), "64000": pytest.approx(4)}
    assert (measurements["data"]["sent"], measurements["data"]["lost"]) == (200, 0)
    assert measurements["connect"]["first_audio_ms"] == 31


def test_the_document_of_a_call_without_answers_has_nothing_where_nothing_is():
    measurements = json.loads(encode(_judged(NOTHING_BACK, messages=Messages(sent=105, lost=105))))["measurements"]
    assert measurements["audio"]["round_trip_ms"] == {"p50": None, "p95": None, "max": None, "samples": 0}
    assert measurements["data"]["round_trip_ms"] == {"p50": None, "p99": None}
    assert measurements["data"]["round_trip_by_size_ms"] == {}


def test_several_calls_have_one_document_with_all_runs():
    document = json.loads(encode(loopback_report.summed_up([_judged(), _judged(NOTHING_BACK)])))
    assert [run["verdict"] for run in document["runs"]] == ["passed", "failed"]
    assert document["verdict"] == "failed"


# The table


@pytest.mark.parametrize("width", [80, 50])
@pytest.mark.parametrize("audio", [SOUND, NOTHING_BACK, HALF_SPEED, TOO_SHORT])
def test_no_line_of_the_table_is_wider_than_the_terminal(audio, width):
    lines = _lines(_judged(audio), width)
    assert max(map(len, lines)) <= width
    assert lines == [line.rstrip() for line in lines]


def test_a_healthy_call_reads_so_at_80_columns():
    assert _lines(_judged(), 80) == [
        "passed   the audio path is healthy                                     3.8 s",
        "",
        " connect   signalling 3.0 · ICE 2.0 · DTLS 3.0 ms",
        "           data channel after 10 ms                limit ≤ 2000 ms  ok",
        "           first audio after 31 ms                 limit ≤ 1000 ms  ok",
        " audio     recognised 99 %                         limit ≥ 80 %     ok",
        "           pitch 1.000                             limit ± 1 %      ok",
        "           channels ok                             limit ≤ 0        ok",
        "           round trip 31 ms (p95 32, max 40)       limit ≤ 150 ms   ok",
        "           signal to noise 28 dB                   limit ≥ 15 dB    ok",
        "           gaps 0 (0.0 ms)                         limit ≤ 0        ok",
        "           lost 0 samples                          limit ≤ 0        ok",
        "           inserted 0 samples                      limit ≤ 0        ok",
        "           cut off 7.0 ms                          limit ≤ 60 ms    ok",
        "           drift 1.5 ppm                           limit ± 300 ppm  ok",
        "           level change -0.2 dB                    limit ± 3 dB     ok",
        " messages  round trip 1.0 ms (p99 2.0, 64 kB 4.0)  limit ≤ 250 ms   ok",
        "           lost 0 of 200                           limit ≤ 0        ok",
        "           reordered 0                             limit ≤ 0        ok",
        " network   lost 0 of 190 packets                   limit ≤ 0        ok",
        "           jitter 0.0 ms · RTCP round trip 1.0 ms · CPU 12 %",
    ]


def test_the_columns_of_an_undecided_call_still_fit_80():
    lines = _lines(_judged(TOO_SHORT), 80)
    assert any(line.startswith(" audio     recognised – %") and line.endswith("inconclusive") for line in lines)


@pytest.mark.parametrize("width", [80, 50])
def test_every_limit_is_shown_with_its_verdict(width):
    lines = _lines(_judged(), width)
    held = [row for row in loopback_report.rows(_judged(), LIMITS) if row.limit_text]
    assert len(held) == len(LIMITS)
    assert [line.endswith("  ok") for line in lines if "limit " in line] == [True] * len(held)


@pytest.mark.parametrize("width", [80, 50])
def test_what_was_not_measured_is_a_dash_and_never_none_or_nan(width):
    report = _judged(
        NOTHING_BACK,
        connect=Connect(None, None, None, None, None),
        messages=Messages(sent=105, lost=105),
        network=Network(0, 0, None, None, None, 3.0),
    )
    text = "\n".join(_lines(report, width))
    assert "None" not in text
    assert "nan" not in text
    assert "signalling –" in text
    assert "round trip – ms (p99 –)" in text


@pytest.mark.parametrize("value", [-0.0, -0.01, -0.049, 0.049, 0.0])
def test_nothing_is_ever_minus_zero(value):
    sound = replace(SOUND, drift_ppm=value, level_change_db=value)
    text = "\n".join(_lines(_judged(sound), 80))
    assert "-0.0" not in text
    assert "drift 0.0 ppm" in text
    assert "level change 0.0 dB" in text


def test_the_largest_message_that_came_back_is_named():
    messages = replace(MESSAGES, round_trips={900: [0.001], 64_000: [0.004]})
    text = "\n".join(_lines(_judged(messages=messages), 120))
    assert "64 kB 4.0)" in text


def test_a_typed_limit_is_the_one_that_is_shown():
    limits = override(LIMITS, ["snr_db=30"])
    report = loopback_report.judged(HEALTHY, limits, 1.0)
    assert any("≥ 30 dB" in line and line.endswith("failed") for line in _lines(report, 80, limits))
