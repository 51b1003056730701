"""Requests: strict on shape, liberal on spelling, and one kind of error."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import BadRequest, CouldNotConnect
from smallrtc_cli.protocol.signalling import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    parse_answer,
)

OFFER = {"sdp": "v=0", "type": "offer"}
SMALL = Limits(sdp=10, candidates=2)

KEYS = st.sampled_from([
    "sdp", "type", "pc_id", "pcId", "restart_pc", "restartPc", "request_data", "requestData", "candidates",
    "candidate", "sdp_mid", "sdpMid", "sdp_mline_index", "sdpMLineIndex",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("offer") | st.just("answer"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, (None, None, None)),
        ({"pc_id": None, "restart_pc": None, "request_data": None}, (None, None, None)),
        ({"pc_id": ""}, (None, None, None)),
        ({"pc_id": "p", "restart_pc": False, "request_data": {"a": 1}}, ("p", False, {"a": 1})),
        ({"pcId": "p", "restartPc": True, "requestData": [1]}, ("p", True, [1])),
        ({"request_data": None, "requestData": {"b": 2}}, (None, None, {"b": 2})),
        ({"request_data": 0, "requestData": {"b": 2}}, (None, None, 0)),
        ({"pc_id": "snake", "pcId": "camel"}, ("snake", None, None)),
        ({"unknown": object(), "restartPC": True}, (None, True, None)),
    ],
)
def test_an_offer_is_read_in_every_spelling(more, expected):
    request = SmallWebRTCRequest.from_dict(OFFER | more)
    assert (request.pc_id, request.restart_pc, request.request_data) == expected


MALFORMED_OFFERS = [
    (None, "the body is null"),
    ([], "the body is an array"),
    ([OFFER], "the body is an array"),
    ("offer", "the body is a string"),
    (7, "the body is a number"),
    (True, "the body is a boolean"),
    ({}, "`type` is missing"),
    ({"type": "offer"}, "`sdp` is missing"),
    ({"sdp": "v=0"}, "`type` is missing"),
    (OFFER | {"type": None}, "`type` is missing"),
    (OFFER | {"type": "answer"}, "`type` is `answer`, not `offer`"),
    (OFFER | {"type": "Offer"}, "not `offer`"),
    (OFFER | {"type": "x" * 9999}, "not `offer`"),
    (OFFER | {"type": 1}, "`type` is a number, not a string"),
    (OFFER | {"sdp": None}, "`sdp` is missing"),
    (OFFER | {"sdp": ["v=0"]}, "`sdp` is an array, not a string"),
    (OFFER | {"sdp": {}}, "`sdp` is an object, not a string"),
    (OFFER | {"sdp": "v" * 11}, "`sdp` has 11 characters, more than 10"),
    (OFFER | {"pc_id": 7}, "`pc_id` is a number, not a string"),
    (OFFER | {"pcId": ["a"]}, "`pc_id` is an array"),
    (OFFER | {"restart_pc": "true"}, "`restart_pc` is a string, not a boolean"),
    (OFFER | {"restart_pc": 1}, "`restart_pc` is a number"),
    (OFFER | {"restartPc": {}}, "`restart_pc` is an object"),
]


@pytest.mark.parametrize(("body", "sentence"), MALFORMED_OFFERS)
def test_a_malformed_offer_is_a_bad_request(body, sentence):
    with pytest.raises(BadRequest) as raised:
        SmallWebRTCRequest.from_dict(body, SMALL)
    assert sentence in str(raised.value)
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize(
    ("entry", "mid", "index"),
    [
        ({}, "0", 0),
        ({"sdp_mid": None, "sdp_mline_index": None}, "0", 0),
        ({"sdp_mid": "1", "sdp_mline_index": 1}, "1", 1),
        ({"sdpMid": "audio", "sdpMLineIndex": 2}, "audio", 2),
        ({"sdpMid": None, "sdpMlineIndex": 2}, "2", 2),
        ({"sdp_mid": "video"}, "video", 0),
        ({"sdp_mid": ""}, "", 0),
        ({"usernameFragment": "x"}, "0", 0),
    ],
)
def test_a_candidate_is_read_in_every_spelling(entry, mid, index):
    patch = SmallWebRTCPatchRequest.from_dict({"pcId": "p", "candidates": [{"candidate": "c"} | entry]})
    assert patch == SmallWebRTCPatchRequest("p", (IceCandidate("c", mid, index),))


@pytest.mark.parametrize("body", [{"pc_id": "p"}, {"pc_id": "p", "candidates": None}])
def test_a_patch_without_candidates_has_none(body):
    assert SmallWebRTCPatchRequest.from_dict(body).candidates == ()


def test_an_empty_candidate_is_kept_since_it_ends_those_of_its_m_line():
    patch = SmallWebRTCPatchRequest.from_dict({"pc_id": "p", "candidates": [{"candidate": "", "sdp_mid": "1"}]})
    assert patch.candidates == (IceCandidate("", "1", 0),)


MALFORMED_PATCHES = [
    (None, "the body is null"),
    ([], "the body is an array"),
    ({}, "`pc_id` is missing"),
    ({"pc_id": None, "candidates": []}, "`pc_id` is missing"),
    ({"pc_id": "", "candidates": []}, "`pc_id` is empty"),
    ({"pc_id": 1, "candidates": []}, "`pc_id` is a number"),
    ({"pc_id": "p", "candidates": {}}, "`candidates` is an object, not an array"),
    ({"pc_id": "p", "candidates": "c"}, "`candidates` is a string"),
    ({"pc_id": "p", "candidates": ["c"]}, "a candidate is a string, not an object"),
    ({"pc_id": "p", "candidates": [None]}, "a candidate is null"),
    ({"pc_id": "p", "candidates": [{}]}, "`candidate` is missing"),
    ({"pc_id": "p", "candidates": [{"candidate": None}]}, "`candidate` is missing"),
    ({"pc_id": "p", "candidates": [{"candidate": 1}]}, "`candidate` is a number"),
    ({"pc_id": "p", "candidates": [{"candidate": "c", "sdp_mid": 0}]}, "`sdp_mid` is a number"),
    ({"pc_id": "p", "candidates": [{"candidate": "c", "sdpMLineIndex": "0"}]}, "not a whole number"),
    ({"pc_id": "p", "candidates": [{"candidate": "c", "sdp_mline_index": True}]}, "is a boolean"),
    ({"pc_id": "p", "candidates": [{"candidate": "c", "sdp_mline_index": -1}]}, "negative"),
    ({"pc_id": "p", "candidates": [{"candidate": "c"}] * 3}, "3 candidates are more than 2"),
]


@pytest.mark.parametrize(("body", "sentence"), MALFORMED_PATCHES)
def test_a_malformed_patch_is_a_bad_request(body, sentence):
    with pytest.raises(BadRequest) as raised:
        SmallWebRTCPatchRequest.from_dict(body, SMALL)
    assert sentence in str(raised.value)


@given(st.dictionaries(KEYS, VALUES) | VALUES)
def test_nothing_but_a_bad_request_comes_out_of_reading(body):
    for read in (SmallWebRTCRequest.from_dict, SmallWebRTCPatchRequest.from_dict, IceCandidate.from_dict):
        with suppress(BadRequest):
            read(body)


def test_what_is_sent_has_the_keys_of_pipecats_javascript_client():
    assert SmallWebRTCRequest("v=0", "offer").to_dict() == {
        "sdp": "v=0", "type": "offer", "pc_id": None, "restart_pc": False,
    }  # fmt: skip
    assert SmallWebRTCRequest("v=0", "offer", "p", True, {"a": 1}).to_dict()["requestData"] == {"a": 1}
    patch = SmallWebRTCPatchRequest("p", [IceCandidate("c", "0", 0)])
    assert patch.to_dict() == {
        "pc_id": "p",
        "candidates": [{"candidate": "c", "sdp_mid": "0", "sdp_mline_index": 0}],
    }


@pytest.mark.parametrize(
    "request_value",
    [
        SmallWebRTCRequest("v=0", "offer", "p", True, {"a": [1]}),
        SmallWebRTCRequest("v=0", "offer", None, False),
    ],
)
def test_what_is_sent_is_read_back_unchanged(request_value):
    assert SmallWebRTCRequest.from_dict(request_value.to_dict()) == request_value


def test_an_answer_is_read_in_every_spelling():
    assert parse_answer({"sdp": "v=0", "type": "answer", "pcId": "p"})["pc_id"] == "p"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ([], "an array, not an object"),
        ({}, "`sdp` is missing"),
        ({"sdp": "v=0", "type": "answer"}, "`pc_id` is missing"),
        ({"sdp": "v=0", "type": "answer", "pc_id": ""}, "`pc_id` is empty"),
        ({"sdp": "v=0", "type": "offer", "pc_id": "p"}, "has the type `offer`"),
        ({"sdp": 1, "type": "answer", "pc_id": "p"}, "`sdp` is a number"),
        ({"sdp": "v" * 11, "type": "answer", "pc_id": "p"}, "11 characters"),
    ],
)
def test_what_is_no_answer_cannot_connect(body, sentence):
    with pytest.raises(CouldNotConnect, match="the server's answer") as raised:
        parse_answer(body, SMALL)
    assert sentence in str(raised.value)
