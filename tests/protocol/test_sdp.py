"""`check_offer` lets real offers through, and nothing that a peer connection would stumble over."""

from contextlib import suppress

import pytest
import sdp_offers
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import BadRequest
from smallrtc_cli.protocol.sdp import candidates, check_offer, is_candidate, join, lines_of, max_message_size, sections

LIMITS = Limits()
OFFERS = {"aiortc": sdp_offers.AIORTC, "chromium": sdp_offers.CHROMIUM, "esp32": sdp_offers.ESP32}
SDP = sdp_offers.CHROMIUM


def without(prefix):
    return join(line for line in lines_of(SDP) if not line.startswith(prefix))


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_real_offer_passes(offer):
    check_offer(offer, LIMITS)
    check_offer(offer.replace("\r\n", "\n"), LIMITS)


@pytest.mark.parametrize("kind", ["audio", "application"])
def test_one_m_line_for_sound_or_data_is_enough(kind):
    session, *media = sections(SDP)
    chosen = next(section for section in media if section.kind == kind)
    alone = join([*session.lines, *chosen.lines])
    check_offer(alone.replace("BUNDLE 0 1 2", f"BUNDLE {chosen.attribute('mid')}"), LIMITS)


MALFORMED = {
    "empty": ("", "does not begin with `v=0`"),
    "garbage": ("garbage", "does not begin with `v=0`"),
    "only-version": ("v=0", "no m-line"),
    "version-1": (SDP.replace("v=0", "v=1"), "does not begin with `v=0`"),
    "json": ('{"sdp": 1}', "does not begin with `v=0`"),
    "html": ("v=0\r\n<html>\r\n", "line 2 of the offer"),
    "nul": (SDP.replace("a=mid:0", "a=mid:0\0"), "is no line"),
    "bare-cr": (SDP.replace("a=mid:0", "a=mid:0\ra=x"), "is no line"),
    "line-separator": (SDP.replace("a=mid:0", "a=mid:0\u2028a=x"), "is no line"),
    "surrogate": (SDP.replace("a=mid:0", "a=mid:\ud800"), "is no line"),
    "no-media": (join(sections(SDP)[0].lines), "no m-line"),
    "m-line-bare": (
        SDP.replace("m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110", "m=audio"),
        "cannot be served",
    ),
    "m-line-port": (SDP.replace("m=audio 9", "m=audio x"), "cannot be served"),
    "m-line-profile": (SDP.replace("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 udp"), "cannot be served"),
    "m-line-kind": (SDP.replace("m=video", "m=text"), "cannot be served"),
    "video-only": (
        SDP.replace("m=audio", "m=video").replace("m=application", "m=video"),
        "neither sound nor",
    ),
    "no-ufrag": (without("a=ice-ufrag"), "without `a=ice-ufrag`"),
    "no-pwd": (without("a=ice-pwd"), "without `a=ice-pwd`"),
    "no-fingerprint": (without("a=fingerprint"), "without `a=fingerprint`"),
    "no-setup": (without("a=setup"), "without `a=setup`"),
    "no-mid": (without("a=mid"), "without `a=mid`"),
    "no-direction": (without("a=sendrecv"), "without `a=sendrecv`"),
    "no-mux": (without("a=rtcp-mux"), "without `a=rtcp-mux`"),
    "setup": (SDP.replace("actpass", "holdconn"), "malformed line `a=setup:holdconn`"),
    "ufrag-empty": (SDP.replace("a=ice-ufrag:Yf3k", "a=ice-ufrag:"), "malformed line"),
    "ufrag-flag": (SDP.replace("a=ice-ufrag:Yf3k", "a=ice-ufrag"), "malformed line"),
    "fingerprint": (SDP.replace("9A:04", "ZZ:04"), "malformed line"),
    "fingerprint-hash": (SDP.replace("sha-256", "sha-1"), "no fingerprint by sha-256"),
    "payload-type": (SDP.replace("SAVPF 111 63", "SAVPF x 63"), "bad payload type"),
    "payload-type-high": (SDP.replace("SAVPF 111 63", "SAVPF 256 63"), "bad payload type"),
    "payload-type-rtcp": (SDP.replace("SAVPF 111 63", "SAVPF 72 63"), "bad payload type"),
    "rtpmap": (SDP.replace("opus/48000/2", "opus"), "malformed line"),
    "rtpmap-rate": (SDP.replace("opus/48000/2", "opus/fast"), "malformed line"),
    "fmtp-unmapped": (SDP.replace("a=fmtp:111", "a=fmtp:112"), "malformed line"),
    "fmtp-number": (SDP.replace("minptime=10", "minptime=x"), "malformed line"),
    "fmtp-apt": (SDP.replace("apt=96", "apt="), "malformed line"),
    "rtcp-fb": (SDP.replace("a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:96\r\n"), "malformed line"),
    "ssrc": (SDP.replace("a=ssrc:3735928559 cname", "a=ssrc:x cname"), "malformed line"),
    "ssrc-group": (SDP.replace("FID 1122334455", "FID x"), "malformed line"),
    "extmap": (SDP.replace("a=extmap:1 urn", "a=extmap:x urn"), "malformed line"),
    "connection": (SDP.replace("c=IN IP4 0.0.0.0", "c=IN"), "malformed line"),
    "rtcp": (SDP.replace("a=rtcp:9", "a=rtcp:x"), "malformed line"),
    "msid": (SDP.replace("a=msid:- 1b9d", "a=msid:"), "malformed line"),
    "sctp-port": (SDP.replace("a=sctp-port:5000", "a=sctp-port:-1"), "malformed line"),
    "message-size": (SDP.replace("a=max-message-size:262144", "a=max-message-size:big"), "malformed line"),
    "mid-twice": (SDP.replace("a=mid:1", "a=mid:0"), "an `a=mid` twice"),
    "mid-two-in-one": (SDP.replace("a=mid:1", "a=mid:1\r\na=mid:5"), "an `a=mid` twice"),
    "bundle": (SDP.replace("BUNDLE 0 1 2", "BUNDLE 3 0 1 2"), "an m-line that is not there"),
    "data-twice": (SDP + join(sections(SDP)[3].lines), "more than one m-line for data"),
    "m-lines": (SDP + join(sections(SDP)[1].lines) * 14, "17 m-lines, more than 16"),
    "candidates": (SDP + "a=candidate:x\r\n" * 101, "more than 100 candidates"),
    "long": (SDP + "a=x\r\n" * 30_000, "characters, more than 131072"),
}


@pytest.mark.parametrize(("sdp", "sentence"), MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_answered_is_a_bad_request(sdp, sentence):
    with pytest.raises(BadRequest) as raised:
        check_offer(sdp, LIMITS)
    assert sentence in str(raised.value)
    assert str(raised.value).isprintable()


@given(st.text(max_size=400) | st.text(max_size=200).map(SDP.__add__))
def test_text_raises_nothing_but_a_bad_request(text):
    with suppress(BadRequest):
        check_offer(text, LIMITS)


@given(st.sampled_from(list(OFFERS.values())), st.data())
def test_a_damaged_offer_raises_nothing_but_a_bad_request(offer, data):
    lines = lines_of(offer)
    number = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[number])))
    lines[number] = lines[number][:cut] + data.draw(st.text(max_size=5))
    with suppress(BadRequest):
        check_offer("\r\n".join(lines), LIMITS)


def test_a_description_is_cut_at_its_m_lines():
    assert [section.kind for section in sections(SDP)] == ["session", "audio", "video", "application"]
    assert join(line for section in sections(SDP) for line in section.lines) == SDP


def test_attributes_are_found_by_their_whole_name():
    audio = sections(SDP)[1]
    assert audio.attribute("mid") == "0"
    assert audio.attribute("rtcp") == "9 IN IP4 0.0.0.0"
    assert audio.attribute("rtcp-mux") == ""
    assert audio.attribute("ice") is None
    assert len(audio.attributes("ssrc")) == 2


def test_candidates_of_bundled_sections_are_listed_once():
    found = candidates(sdp_offers.AIORTC)
    assert len(found) == len({candidate.address for candidate in found}) == 2


@pytest.mark.parametrize(
    ("line", "expected"), [("a=candidate:1", True), ("a=candidate", True), ("a=candidates:1", False)]
)
def test_a_candidate_line_is_known_by_its_name(line, expected):
    assert is_candidate(line) == expected


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("a=max-message-size:262144\r\n", 262_144),
        ("a=max-message-size:0\r\n", 0),
        ("", 65_536),
        ("a=max-message-size:x\r\n", 65_536),
    ],
)
def test_the_largest_message_is_what_the_description_says_or_64_kilobytes(line, limit):
    section = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"
    assert max_message_size(f"v=0\r\n{section}{line}") == limit
