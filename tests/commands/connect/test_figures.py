"""The figures of a call: percentiles, rates, and the lines at its end."""

from smallrtc_cli.commands.connect.figures import Figures, percentiles, summary


def report(sent=0, *, trip=None, lost=0, got=100):
    found = {
        "t": {"type": "transport", "bytesSent": sent, "bytesReceived": 0},
        "i": {"type": "inbound-rtp", "kind": "audio", "packetsLost": lost, "packetsReceived": got, "jitter": 0.002},
    }
    pair = {"p": {"type": "candidate-pair", "currentRoundTripTime": trip}} if trip is not None else {}
    return found | pair


def test_percentiles_are_values_that_were_measured():
    assert percentiles([]) is None
    assert percentiles([7]) == {"p50": 7, "p95": 7}
    assert percentiles(range(1, 101)) == {"p50": 51, "p95": 96}


def test_the_rate_is_of_the_bytes_in_between():
    figures = Figures()
    figures.update(report(1000), now=10)
    assert list(figures.kbit_per_s) == []
    figures.update(report(7000), now=11)
    figures.update(report(7000), now=13)
    assert list(figures.kbit_per_s) == [48, 0]


def test_a_new_peer_connection_that_counts_anew_is_no_negative_rate():
    figures = Figures()
    figures.update(report(9000), now=1)
    figures.update(report(10), now=2)
    figures.update(report(1010), now=3)
    assert list(figures.kbit_per_s) == [8]


def test_the_summary_says_how_long_how_good_and_how_fast():
    figures = Figures()
    for now, trip in enumerate([0.010, 0.012, 0.030]):
        figures.update(report(trip=trip, lost=1, got=499), now=now)
    lines = summary(54.2, "you hung up", figures, [0.64, 0.7, 1.2], {"underruns": 2, "overruns": 0})
    assert lines == [
        "call of 0:54, ended: you hung up",
        "round trip 12 ms (p95 30) · loss 0.2 % · jitter 2 ms · 2 underruns",
        "end of my speech to first bot sound: 700 ms (p95 1200) over 3 turns",
    ]


def test_the_summary_of_a_call_without_anything_says_so():
    lines = summary(0.0, "the bot left", Figures(), [], {})
    assert lines[1] == "round trip not measured · loss – · jitter –"
    assert "no turn was heard" in lines[2]


def test_rows_name_path_codec_and_channel():
    def end(kind, address, port):
        return {"type": "…", "candidateType": kind, "protocol": "udp", "address": address, "port": port}

    figures = Figures()
    figures.update(
        {
            "local-candidate": end("host", "10.0.0.1", 5),
            "remote-candidate": end("relay", "10.0.0.2", 6),
            "c": {"type": "codec", "mimeType": "audio/opus", "clockRate": 48000},
            "i": {"type": "inbound-rtp", "kind": "audio", "packetsReceived": 5, "packetsLost": 1, "codecId": "c"},
            "t": {"type": "transport", "tlsVersion": "FEFD", "dtlsCipher": "AES", "srtpCipher": "SRTP"},
            "d": {"type": "data-channel", "label": "chat", "state": "open", "messagesSent": 1, "messagesReceived": 2},
        },
        now=1,
    )  # fmt: skip
    assert figures.vitals.path == "host to relay, udp"
    assert figures.rows() == [
        ("here", "10.0.0.1:5  host udp"),
        ("there", "10.0.0.2:6  relay udp"),
        ("security", "DTLS 1.2 AES, SRTP"),
        ("audio in", "5 packets, 1 lost, opus 48000 Hz"),
        ("channel `chat`", "open, 1 messages out, 2 in"),
    ]
