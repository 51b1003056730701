"""Everything that can arrive on a data channel is a value; everything that is sent can be read."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.protocol.messages import (
    AppMessage,
    MalformedJSON,
    PathLoadMessage,
    PathReportMessage,
    PathRequestMessage,
    PeerLeftMessage,
    Ping,
    Rejected,
    RenegotiateMessage,
    SignallingMessage,
    TrackStatusMessage,
    UnencodableMessage,
    decode,
    encode_app,
    encode_ping,
    encode_signalling,
    parse_json,
    printable,
    require_object,
)

SIGNALS = [
    TrackStatusMessage(0, True),
    TrackStatusMessage(2, False),
    RenegotiateMessage(),
    PeerLeftMessage(),
    PathRequestMessage(),
    PathReportMessage(),
    PathReportMessage(1184, 1277, 1281, "black-hole", False),
    PathLoadMessage(),
]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("text", ["ping", "ping: 1700000000000", "pingpong", 'ping{"type":"x"}'])
def test_text_that_starts_with_ping_is_a_ping(text):
    assert decode(text) == Ping()


def test_our_own_ping_is_one():
    assert encode_ping(1_700_000_000_000) == "ping: 1700000000000"
    assert decode(encode_ping(1)) == Ping()


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("envelope", [lambda signal: signal, SignallingMessage])
@pytest.mark.parametrize("frame", [str, str.encode])
def test_a_signal_survives_the_wire_as_text_and_as_bytes(signal, envelope, frame):
    assert decode(frame(encode_signalling(envelope(signal)))) == signal


def test_what_is_only_carried_is_not_kept():
    text = encode_signalling(PathLoadMessage("x" * 500))
    assert len(text) > 500
    assert decode(text) == PathLoadMessage()


def test_the_envelope_is_pipecats():
    assert json.loads(encode_signalling(TrackStatusMessage(1, False))) == {
        "type": "signalling",
        "message": {"type": "trackStatus", "receiver_index": 1, "enabled": False},
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"chunk": -1}, "no number of bytes"),
        ({"chunk": 1.5}, "no number of bytes"),
        ({"ip_packet": True}, "no number of bytes"),
        ({"refused_ip_packet": "1281"}, "no number of bytes"),
        ({"ip_packet": 1 << 40}, "no number of bytes"),
        ({"limit": ["icmp"]}, "needs a text `limit`"),
        ({"pieces_pass": "no"}, "needs a text `limit`"),
    ],
)
def test_a_path_report_with_nonsense_in_it_is_rejected(fields, reason):
    text = json.dumps({"type": "signalling", "message": {"type": "pathReport", **fields}})
    assert reason in decode(text).reason


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"label":"rtvi-ai","type":"client-ready","id":"a"}',
        '{"no":"type"}',
        '{"type":null}',
        '{"type":["signalling"],"message":{"type":"peerLeft"}}',
        '{"type":"signalling"}',
        '{"type":"signalling","message":null}',
        '{"type":"signalling","message":{}}',
        '{"type":"signalling","message":""}',
        '{"type":"x","text":"\\ud800"}',
        ' {"type":"x"}\n',
    ],
)
@pytest.mark.parametrize("frame", [str, str.encode])
def test_any_other_object_is_the_bots(text, frame):
    assert decode(frame(text)) == AppMessage(json.loads(text))


MALFORMED = [
    ("", "not JSON"),
    (" ping", "not JSON"),
    ("Ping", "not JSON"),
    ("hello", "not JSON"),
    ("{", "not JSON"),
    ('{"a":1}}', "not JSON"),
    ('{"a":1,}', "not JSON"),
    ("{'a':1}", "not JSON"),
    ('{"a":"\n"}', "not JSON"),
    ('\ufeff{"a":1}', "not JSON"),
    ("\0", "not JSON"),
    (b"ping", "not JSON"),
    (b"", "not JSON"),
    (b"\xff\xfe", "not UTF-8"),
    (b'{"a":"\xc3"}', "not UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
    ("[]", "an array"),
    ('[{"type":"x"}]', "an array"),
    ("null", "null"),
    ("true", "a boolean"),
    ("1", "a number"),
    ("1.5", "a number"),
    ('"ping"', "a string"),
    ("NaN", "`NaN`"),
    ('{"a":NaN}', "`NaN`"),
    ('{"a":-Infinity}', "`-Infinity`"),
    ('{"a":1e999}', "out of range"),
    ('{"a":' + "9" * 5000 + "}", "too many digits"),
    ("[" * 100_000, "nested too deeply"),
    ('{"a":' * 100_000, "nested too deeply"),
    ('{"type":"signalling","message":"peerLeft"}', "no `type`"),
    ('{"type":"signalling","message":[1]}', "no `type`"),
    ('{"type":"signalling","message":{"type":7}}', "no `type`"),
    ('{"type":"signalling","message":{"x":7}}', "no `type`"),
    ('{"type":"signalling","message":{"type":"bye\\u001b[2J"}}', "unknown signalling message `bye?[2J`"),
    ('{"type":"signalling","message":{"type":"trackStatus"}}', "needs"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":0}}', "needs"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":"0","enabled":true}}', "needs"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":0,"enabled":1}}', "needs"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":0.0,"enabled":true}}', "needs"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":true,"enabled":true}}', "not 0"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":3,"enabled":true}}', "not 0"),
    ('{"type":"signalling","message":{"type":"trackStatus","receiver_index":-1,"enabled":true}}', "not 0"),
]


@pytest.mark.parametrize(("payload", "reason"), MALFORMED)
def test_what_means_nothing_is_rejected_with_a_sentence(payload, reason):
    rejected = decode(payload)
    assert isinstance(rejected, Rejected)
    assert reason in rejected.reason
    assert len(rejected.reason) < 150


@given(st.text() | st.binary() | JSON_VALUES.map(json.dumps))
def test_decode_never_raises(payload):
    assert decode(payload) is not None


@given(JSON_VALUES)
def test_what_json_holds_arrives_unchanged_and_fits_utf8(value):
    text = encode_app({"data": value})
    text.encode()
    assert parse_json(text) == {"data": value}


def test_what_is_sent_is_compact_and_not_escaped():
    assert encode_app({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'


def test_a_lone_surrogate_is_escaped_since_utf8_cannot_carry_it():
    assert encode_app({"a": "ü\ud800"}) == '{"a":"\\u00fc\\ud800"}'


def _circle():
    circle = {}
    circle["self"] = circle
    return circle


def _deep():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    return deep


@pytest.mark.parametrize(
    "message",
    [
        {"a": math.nan},
        {"a": math.inf},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {(1, 2): 3},
        {"a": object()},
        _circle(),
        {"a": _deep()},
    ],
    ids=["nan", "infinity", "bytes", "set", "tuple-key", "object", "circle", "deep"],
)
def test_what_json_cannot_hold_is_a_typed_error(message):
    with pytest.raises(UnencodableMessage, match="message is ") as raised:
        encode_app(message)
    assert raised.value.hint


@pytest.mark.parametrize("message", [None, True, 1, "text", [{"a": 1}]])
def test_what_no_receiver_would_take_is_not_sent(message):
    assert isinstance(decode(json.dumps(message)), Rejected)
    with pytest.raises(UnencodableMessage, match="is not an object but"):
        require_object(message)


def test_malformed_json_is_the_only_error_of_the_parser():
    with pytest.raises(MalformedJSON, match="is not UTF-8"):
        parse_json(b"\xff")


def test_a_strangers_text_is_one_short_line():
    assert printable("a\nb\x1b" + "c" * 99, 5) == "a?b?c…"
