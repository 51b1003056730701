"""Rewriting touches only the lines that a rule speaks about."""

import sdp_offers

from smallrtc_cli.protocol.opus_fmtp import OpusParameters, read_opus
from smallrtc_cli.protocol.rewriting import (
    esp32_answer,
    with_opus,
    without_bad_candidates,
    without_end_of_candidates,
    without_local_names,
)
from smallrtc_cli.protocol.sdp import is_candidate, lines_of, sections

CHROMIUM, AIORTC = sdp_offers.CHROMIUM, sdp_offers.AIORTC


def dropped(before, after):
    remaining = lines_of(after)
    return [line for line in lines_of(before) if line not in remaining]


def test_an_answer_for_an_esp32_has_one_hash_and_one_address():
    rewritten = esp32_answer(AIORTC, "198.51.100.7")
    gone = dropped(AIORTC, rewritten)
    assert {line.split()[0] for line in gone if "fingerprint" in line} == {
        "a=fingerprint:sha-384",
        "a=fingerprint:sha-512",
    }
    assert all("fd00::2" in line for line in gone if is_candidate(line))
    assert sum(is_candidate(line) for line in lines_of(rewritten)) == 3
    assert rewritten.endswith("\r\n")
    assert "\n" not in rewritten.replace("\r\n", "")


def test_the_esp32s_host_is_no_pattern_and_no_prefix():
    line = "a=candidate:1 1 udp 1 {} 9 typ host"
    answer = "\n".join(["v=0", *(line.format(ip) for ip in ("10.0.0.1", "10.0.0.12", "10x0y0z1"))])
    assert esp32_answer(answer, "10.0.0.1") == f"v=0\r\n{line.format('10.0.0.1')}\r\n"


def test_the_esp32_gets_no_reflexive_candidate():
    answer = "v=0\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ srflx raddr 10.0.0.1 rport 9\r\n"
    assert esp32_answer(answer, "10.0.0.1") == "v=0\r\n"


def test_a_peer_that_trickles_does_not_say_that_it_is_done():
    rewritten = without_end_of_candidates(AIORTC)
    assert dropped(AIORTC, rewritten) == ["a=end-of-candidates"] * 3


def test_hidden_addresses_are_taken_out_and_handed_back():
    hidden = "a=candidate:1 1 udp 1 4f1c.local 9 typ host"
    assert without_local_names(f"{AIORTC}{hidden}\r\n") == (AIORTC, [hidden])


def test_bad_candidates_are_dropped_and_counted():
    damaged = AIORTC.replace("typ host", "typ nonsense", 1) + "a=candidate\r\na=candidate:\r\n"
    rewritten, count = without_bad_candidates(damaged)
    assert count == 3
    assert "nonsense" not in rewritten
    assert without_bad_candidates(rewritten) == (rewritten, 0)
    assert without_bad_candidates(AIORTC) == (AIORTC, 0)


def test_wishes_for_opus_follow_the_line_that_names_it_and_nothing_else_changes():
    rewritten = with_opus(AIORTC, OpusParameters(fec=True, stereo=True))
    assert dropped(rewritten, AIORTC) == ["a=fmtp:96 minptime=10;useinbandfec=1;stereo=1", "a=maxptime:120"]
    lines = lines_of(rewritten)
    named = lines.index("a=rtpmap:96 opus/48000/2")
    assert lines[named + 1].startswith("a=fmtp:96 ")
    assert lines[: named + 1] + lines[named + 3 :] == lines_of(AIORTC)


def test_what_was_written_is_what_the_other_side_reads():
    wishes = OpusParameters(fec=True, stereo=True, sends_stereo=True)
    (audio,) = [section for section in sections(with_opus(AIORTC, wishes)) if section.kind == "audio"]
    assert read_opus(audio, 96) == wishes


def test_a_description_without_opus_stays_as_it_is():
    sdp = AIORTC.replace("opus/48000/2", "speex/16000")
    assert with_opus(sdp, OpusParameters()) == sdp
