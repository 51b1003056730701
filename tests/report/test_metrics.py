"""Prometheus text by value: what is counted, what is labelled, and that it stays small."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.report.metrics import MOST_SESSIONS, SessionSnapshot, Totals, metrics_text, short_ids

REPORT = {
    "i": {"type": "inbound-rtp", "kind": "audio", "mid": "0", "jitter": 0.002, "packetsReceived": 97, "packetsLost": 3}
    | {"audioLevel": 0.25},
    "r": {"type": "remote-inbound-rtp", "kind": "audio", "mid": "0", "jitter": 0.004, "packetsReceived": 9}
    | {"packetsLost": -1},
    "m": {"type": "media-source", "kind": "audio", "audioLevel": 0.5},
    "p": {"type": "candidate-pair", "currentRoundTripTime": 0.03},
    "t": {"type": "transport", "bytesSent": 10, "bytesReceived": 20},
}


def samples(sessions=(), totals=None) -> dict[tuple[str, ...], float]:
    """Every sample by its name and label values, sorted by label name."""
    text = metrics_text(list(sessions), totals or Totals())
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *(value for _, value in sorted(sample.labels.items())))
            assert key not in found, "Prometheus refuses a scrape with the same sample twice"
            found[key] = sample.value
    return found


def test_every_session_counts_in_its_state_and_states_without_one_are_zero():
    found = samples([SessionSnapshot("a", "connected", 1.0), SessionSnapshot("b", "connected", 1.0)])
    assert found["smallrtc_sessions", "connected"] == 2
    assert found["smallrtc_sessions", "lost"] == 0
    assert ("smallrtc_sessions", "closed") not in found


def test_calls_are_counted_by_reason_and_every_reason_is_there_from_the_start():
    found = samples(totals=Totals({"peer-closed": 3}, bot_failures=2))
    assert found["smallrtc_calls_total", "peer-closed"] == 3
    assert {key[1] for key in found if key[0] == "smallrtc_calls_total"} == {reason.value for reason in CloseReason}
    assert found["smallrtc_bot_failures_total",] == 2


def test_a_session_shows_round_trip_jitter_loss_level_and_bytes_of_both_directions():
    found = samples([SessionSnapshot("0123456789abcdef", "connected", 12.5, REPORT)])
    assert found["smallrtc_session_duration_seconds", "01234567"] == 12.5
    assert found["smallrtc_session_round_trip_seconds", "01234567"] == 0.03
    assert found["smallrtc_session_jitter_seconds", "in", "audio", "0", "01234567"] == 0.002
    assert found["smallrtc_session_jitter_seconds", "out", "audio", "0", "01234567"] == 0.004
    assert found["smallrtc_session_packets_lost_ratio", "in", "audio", "0", "01234567"] == 0.03
    assert found["smallrtc_session_audio_level", "in", "01234567"] == 0.25
    assert found["smallrtc_session_audio_level", "out", "01234567"] == 0.5
    assert found["smallrtc_session_transport_bytes", "in", "01234567"] == 20


def test_a_negative_loss_is_none():
    found = samples([SessionSnapshot("0123456789abcdef", "connected", 1.0, REPORT)])
    assert found["smallrtc_session_packets_lost_ratio", "out", "audio", "0", "01234567"] == 0


def test_what_is_not_known_has_no_sample():
    found = samples([SessionSnapshot("a", "connecting", 1.0)])
    assert {key[0] for key in found if "session_" in key[0]} == {"smallrtc_session_duration_seconds"}


def test_no_more_than_so_many_sessions_have_figures_of_their_own_and_all_are_counted():
    found = samples([SessionSnapshot(f"{n:032x}", "connected", 1.0, REPORT) for n in range(MOST_SESSIONS + 5)])
    assert sum(key[0] == "smallrtc_session_duration_seconds" for key in found) == MOST_SESSIONS
    assert found["smallrtc_sessions", "connected"] == MOST_SESSIONS + 5


def test_a_label_with_quotes_and_newlines_does_not_break_the_text():
    found = samples([SessionSnapshot('a"\n\\', "connected", 1.0)])
    assert found["smallrtc_session_duration_seconds", 'a"\n\\'] == 1.0


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        ([], []),
        (["short"], ["short"]),
        (["0123456789", "9876543210"], ["01234567", "98765432"]),
        (["same-beginning-1", "same-beginning-2"], ["same-beginning-1", "same-beginning-2"]),
        (["0123456789", "0123456700"], ["012345678", "012345670"]),
    ],
)
def test_short_ids_tell_the_sessions_apart(ids, shown):
    assert short_ids(ids) == shown
