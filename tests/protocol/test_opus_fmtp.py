"""What descriptions say about Opus, read, obeyed and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.config import Opus
from smallrtc_cli.protocol.opus_fmtp import OpusParameters, read_opus
from smallrtc_cli.protocol.sdp import Section

CHROME = "a=fmtp:111 minptime=10;useinbandfec=1"
FIREFOX = "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1"


def _read(*lines, payload_type=111):
    return read_opus(Section("audio", ("m=audio 9 UDP/TLS/RTP/SAVPF 111", *lines)), payload_type)


# Reading


def test_where_nothing_is_said_the_defaults_of_the_rfc_hold():
    assert _read() == OpusParameters()
    assert (OpusParameters().fec, OpusParameters().playback_rate, OpusParameters().longest) == (False, 48_000, 0.12)


def test_chrome_is_understood():
    assert _read(CHROME) == OpusParameters(fec=True)


def test_firefox_is_understood():
    assert _read(FIREFOX, payload_type=109) == OpusParameters(fec=True, stereo=True)


def test_all_that_can_be_said_is_read():
    line = (
        "a=fmtp:111 minptime=10; useinbandfec=1; usedtx=1; stereo=0; sprop-stereo=1; cbr=1;"
        " maxaveragebitrate=20000; maxplaybackrate=16000"
    )
    assert _read(line, "a=ptime:40", "a=maxptime:60") == OpusParameters(
        fec=True, dtx=True, stereo=False, sends_stereo=True, cbr=True, bitrate=20_000, playback_rate=16_000,
        packet=0.04, longest=0.06,
    )  # fmt: skip


def test_another_payload_types_parameters_are_not_ours():
    assert _read("a=fmtp:11 useinbandfec=1", "a=fmtp:1111 usedtx=1") == OpusParameters()


@pytest.mark.parametrize(("said", "meant"), [(44_100, 24_000), (20_000, 16_000), (7_000, 8_000), (96_000, 48_000)])
def test_a_playback_rate_becomes_one_of_opus(said, meant):
    assert _read(f"a=fmtp:111 maxplaybackrate={said}").playback_rate == meant


@pytest.mark.parametrize(("said", "meant"), [(1, 6_000), (64_000, 64_000), (999_999, 510_000)])
def test_a_bitrate_becomes_one_that_opus_has(said, meant):
    assert _read(f"a=fmtp:111 maxaveragebitrate={said}").bitrate == meant


@pytest.mark.parametrize("value", ["", "yes", "-1", "2", "1e3", "٣", "9" * 30])
def test_what_cannot_be_read_counts_as_not_said(value):
    names = ("useinbandfec", "usedtx", "stereo", "cbr", "maxplaybackrate", "maxaveragebitrate")
    lines = [f"a=fmtp:111 {';'.join(f'{name}={value}' for name in names)}", f"a=ptime:{value}", f"a=maxptime:{value}"]
    read = _read(*lines)
    if value != "2":  # a number, if not a sensible one
        assert read == OpusParameters()
    assert (read.fec, read.dtx, read.stereo, read.cbr) == (False, None, None, False)


@given(st.text())
def test_no_text_does_harm(text):
    assert isinstance(_read(f"a=fmtp:111 {text}", f"a=ptime:{text}"), OpusParameters)


# Obeying


def test_what_the_far_side_does_not_limit_stays_ours():
    ours = Opus(fec=True, dtx=True, bitrate=40_000)
    assert OpusParameters(fec=True).obeyed(ours, channels=1) == ours


def test_no_error_correction_for_who_cannot_use_it():
    assert not OpusParameters(fec=False).obeyed(Opus(fec=True), channels=1).fec
    assert not OpusParameters(fec=True).obeyed(Opus(fec=False), channels=1).fec


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize(("theirs", "holds"), [(True, True), (False, False), (None, "ours")])
def test_the_far_side_decides_about_silence_if_it_says_anything(ours, theirs, holds):
    assert OpusParameters(dtx=theirs).obeyed(Opus(dtx=ours), channels=1).dtx is (ours if holds == "ours" else holds)


def test_the_far_sides_bitrate_is_for_all_channels_and_a_limit():
    theirs = OpusParameters(bitrate=40_000)
    assert theirs.obeyed(Opus(bitrate=32_000), channels=1).bitrate == 32_000
    assert theirs.obeyed(Opus(bitrate=32_000), channels=2).bitrate == 20_000


def test_nothing_is_sent_that_it_cannot_play():
    assert OpusParameters(playback_rate=16_000).obeyed(Opus(), channels=1).playback_rate == 16_000


@pytest.mark.parametrize(
    ("ours", "ptime", "maxptime", "packet"),
    [
        (0.02, None, 0.12, 0.02),
        (0.02, 0.04, 0.12, 0.04),
        (0.02, 0.03, 0.12, 0.02),
        (0.02, 0.12, 0.12, 0.06),
        (0.02, 0.06, 0.04, 0.04),
        (0.06, None, 0.02, 0.02),
        (0.02, 0.003, 0.12, 0.01),
    ],
)
def test_a_packet_lasts_what_the_far_side_asks_and_takes(ours, ptime, maxptime, packet):
    assert OpusParameters(packet=ptime, longest=maxptime).obeyed(Opus(packet=ours), channels=1).packet == packet


# Writing


def test_our_own_line_is_what_browsers_write():
    assert OpusParameters(fec=True).lines(111) == [CHROME, "a=maxptime:120"]


numbers = st.sampled_from([0.01, 0.02, 0.04, 0.06])
flags = st.none() | st.booleans()


@given(
    st.builds(
        OpusParameters,
        fec=st.booleans(),
        dtx=flags,
        stereo=flags,
        sends_stereo=flags,
        cbr=st.booleans(),
        bitrate=st.none() | st.integers(6_000, 510_000),
        playback_rate=st.sampled_from([8_000, 12_000, 16_000, 24_000, 48_000]),
        packet=st.none() | numbers,
        longest=numbers,
    )
)
def test_what_is_written_is_read_again(parameters):
    assert _read(*parameters.lines(111)) == parameters
