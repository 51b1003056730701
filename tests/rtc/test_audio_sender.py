"""What a slot gives leaves as RTP packets, by value: their numbers, their times, their sound."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCRtpCodecParameters
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtpPacket as Reference
from calls import until
from coded import pitch
from received import voice

from smallrtc_cli.audio.codecs import decoder_for
from smallrtc_cli.audio.opus_packet import has_recovery
from smallrtc_cli.audio.pcm import level_dbfs, to_av_frame
from smallrtc_cli.audio.signals import silence, tone
from smallrtc_cli.config import Opus, OutboundAudio
from smallrtc_cli.protocol.opus_fmtp import OpusParameters
from smallrtc_cli.rtc import aiortc_audio
from smallrtc_cli.rtc.audio_sender import AudioSender
from smallrtc_cli.rtc.bot_audio_track import BotAudioTrack
from smallrtc_cli.rtc.slot import Slot

CODECS = {
    "opus": RTCRtpCodecParameters("audio/opus", 48_000, 2, 96),
    "G722": RTCRtpCodecParameters("audio/G722", 8_000, 1, 9),
    "PCMU": RTCRtpCodecParameters("audio/PCMU", 8_000, 1, 0),
    "PCMA": RTCRtpCodecParameters("audio/PCMA", 8_000, 1, 8),
}
EXTENSIONS = [
    RTCRtpHeaderExtensionParameters(id=1, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
    RTCRtpHeaderExtensionParameters(id=5, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
]
MAP = HeaderExtensionsMap()
MAP.configure(RTCRtpParameters(headerExtensions=EXTENSIONS))


class Source(MediaStreamTrack):
    """A bot's own track: some sound in frames of one length, and then its end."""

    kind = "audio"

    def __init__(self, sound, rate=48_000, frame=0.02, pause_after=None):
        super().__init__()
        samples = round(rate * frame)
        self.frames = [
            to_av_frame(sound[start : start + samples].tobytes(), rate, sound.shape[1], start)
            for start in range(0, len(sound), samples)
        ]
        for moved in self.frames[pause_after:] if pause_after else ():
            moved.pts += rate  # a second of nothing

    async def recv(self):
        if not self.frames:
            raise MediaStreamError
        return self.frames.pop(0)


class EndOfTest(Exception):
    pass


class Wire:
    """What one sender puts on the wire."""

    def __init__(self, monkeypatch, extensions=()):
        self.packets = []
        self.sender = SimpleNamespace(_ssrc=77, _enabled=True, track=None)
        self.sender.replaceTrack = lambda track: setattr(self.sender, "track", track)
        self.transceiver = SimpleNamespace(sender=self.sender, mid="0", _headerExtensions=list(extensions))
        monkeypatch.setattr(aiortc_audio, "send_by", lambda _, run: setattr(self, "run", run))
        monkeypatch.setattr(aiortc_audio, "send_packet", self._send)
        monkeypatch.setattr(aiortc_audio, "on_reported_loss", lambda _, tell: setattr(self, "report", tell))

    async def _send(self, sender, packet, header):
        assert sender is self.sender
        self.packets.append(Reference.parse(header + packet.payload, MAP))

    def sender_of(self, source, settings=None):
        slot = Slot("audio")
        slot.replace(source)
        self.made = AudioSender(self.transceiver, slot.track(), settings)
        return self.made, slot

    async def sends(self, source, codec="opus", wanted=None, settings=None):
        """All packets of a source."""
        made, slot = self.sender_of(source, settings)
        made.obey(wanted or OpusParameters())
        track = made._track
        next_piece = track.next_piece

        async def until_the_end(seconds):
            if slot.source is None or not source.frames:
                raise EndOfTest
            return await next_piece(seconds)

        track.next_piece = until_the_end
        with pytest.raises(EndOfTest):
            await self.run(CODECS[codec])
        return self.packets


@pytest.fixture
def wire(monkeypatch):
    return Wire(monkeypatch)


def speech(seconds):
    return voice(seconds, 48_000)


def steps(values, modulus):
    return {(later - earlier) % modulus for earlier, later in zip(values, values[1:], strict=False)}


async def test_packets_are_numbered_and_timed_and_the_first_is_marked(wire):
    packets = await wire.sends(Source(tone(440, 1.0)))
    assert len(packets) == 50
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(96, 77)}
    assert steps([packet.sequence_number for packet in packets], 2**16) == {1}
    assert steps([packet.timestamp for packet in packets], 2**32) == {960}
    assert [packet.marker for packet in packets] == [1] + 49 * [0]
    assert packets[0].sequence_number < 2**15


async def test_two_streams_do_not_begin_with_the_same_numbers(monkeypatch):
    first = [(await Wire(monkeypatch).sends(Source(tone(440, 0.02))))[0] for _ in range(8)]
    assert len({(packet.sequence_number, packet.timestamp) for packet in first}) > 1


@pytest.mark.parametrize(
    ("codec", "ticks", "rate"),
    [("opus", 960, 48_000), ("G722", 160, 16_000), ("PCMU", 160, 8_000), ("PCMA", 160, 8_000)],
)
@pytest.mark.parametrize(("source_rate", "channels"), [(48_000, 2), (24_000, 1), (16_000, 1), (8_000, 1)])
async def test_any_source_is_heard_by_any_codec(wire, codec, ticks, rate, source_rate, channels):
    packets = await wire.sends(Source(tone(440, 1.0, rate=source_rate, channels=channels), source_rate), codec)
    assert {packet.payload_type for packet in packets} == {CODECS[codec].payloadType}
    assert steps([packet.timestamp for packet in packets], 2**32) == {ticks}
    decoder = decoder_for(CODECS[codec].mimeType, rate, 1)
    heard = np.concatenate([decoder.decode(packet.payload) for packet in packets])
    assert len(heard) == pytest.approx(rate, abs=rate / 20)
    assert pitch(heard[rate // 4 :], rate) == pytest.approx(440, abs=2)


async def test_pieces_of_10_ms_become_packets_of_20(wire):
    packets = await wire.sends(Source(tone(440, 1.0, channels=1), frame=0.01))
    assert len(packets) == 50
    assert steps([packet.timestamp for packet in packets], 2**32) == {960}


@pytest.mark.parametrize(("seconds", "ticks"), [(0.01, 480), (0.02, 960), (0.04, 1920), (0.06, 2880)])
async def test_packets_are_as_long_as_the_other_side_wants_them(wire, seconds, ticks):
    packets = await wire.sends(Source(tone(440, 1.2)), wanted=OpusParameters(packet=seconds))
    assert len(packets) == round(1.2 / seconds)
    assert steps([packet.timestamp for packet in packets], 2**32) == {ticks}


async def test_a_gap_in_the_source_is_a_gap_in_the_timestamps_and_not_in_the_numbers(wire):
    packets = await wire.sends(Source(tone(440, 0.2), pause_after=5))
    assert steps([packet.sequence_number for packet in packets], 2**16) == {1}
    times = [packet.timestamp for packet in packets]
    assert [(b - a) % 2**32 for a, b in zip(times, times[1:], strict=False)] == 4 * [960] + [48_960] + 4 * [960]


STEREO_BIT = 4
FIRST_CELT = 16
"The first configuration of Opus without its coder of speech (RFC 6716 section 3.1)."


@pytest.mark.parametrize(("wanted", "channels"), [(None, 1), (False, 1), (True, 2)])
async def test_two_channels_go_to_those_who_want_them(wire, wanted, channels):
    sides = np.concatenate((tone(440, 1.0, channels=1), tone(880, 1.0, channels=1)), axis=1)
    packets = await wire.sends(Source(sides), wanted=OpusParameters(stereo=wanted))
    decoder = decoder_for("audio/opus", 48_000, 2)
    heard = np.concatenate([decoder.decode(packet.payload) for packet in packets])[12_000:]
    apart = level_dbfs(heard[:, 0] - heard[:, 1]) > -30
    assert apart is (channels == 2)


async def test_silence_with_some_noise_is_left_out_too(wire):
    hiss = np.random.default_rng(1).normal(0, 10, (240_000, 1)).astype(np.int16)
    assert len(await wire.sends(Source(hiss), wanted=OpusParameters(dtx=True))) < 100


async def test_silence_is_left_out_where_it_is_wanted_so_and_what_follows_is_marked_and_in_its_time(wire):
    sound = np.concatenate((tone(440, 0.4), silence(2.0), tone(440, 0.4)))
    packets = await wire.sends(Source(sound), wanted=OpusParameters(dtx=True))
    assert len(packets) < 80
    assert steps([packet.sequence_number for packet in packets], 2**16) == {1}
    first, last = packets[0].timestamp, packets[-1].timestamp
    assert (last - first) % 2**32 == 139 * 960
    resumed = [packet for packet in packets[1:] if packet.marker]
    assert resumed
    assert (resumed[-1].timestamp - first) % 2**32 >= 20 * 960


async def test_without_that_silence_is_sent_as_everything_else(wire):
    assert len(await wire.sends(Source(silence(2.0)))) == 100


async def test_the_settings_hold_as_far_as_the_other_side_allows(monkeypatch):
    def total(packets):
        return sum(len(packet.payload) for packet in packets)

    sizes = [
        total(await Wire(monkeypatch).sends(Source(tone(440, 1.0)), wanted=wanted, settings=Opus(bitrate=bitrate)))
        for bitrate, wanted in ((64_000, None), (16_000, None), (64_000, OpusParameters(bitrate=16_000)))
    ]
    assert sizes[0] > 2 * sizes[1]
    assert sizes[2] == pytest.approx(sizes[1], rel=0.1)


@pytest.mark.parametrize(("wanted", "speaks"), [(OpusParameters(bitrate=16_000), True), (OpusParameters(), False)])
async def test_few_bits_go_to_speech(wire, wanted, speaks):
    packets = await wire.sends(Source(speech(1.0)), wanted=wanted)
    assert {packet.payload[0] >> 3 < FIRST_CELT for packet in packets} == {speaks}


async def test_packets_repeat_the_one_before_from_the_first_loss_that_the_other_side_reports(wire):
    source = Source(speech(6.0))
    take = source.recv

    async def recv():
        if len(wire.packets) in (50, 100, 150, 200):
            wire.report(0.05 if len(wire.packets) == 150 else 0.0)
        return await take()

    source.recv = recv
    packets = await wire.sends(source, wanted=OpusParameters(fec=True))
    repeats = [has_recovery(packet.payload) for packet in packets]
    assert not any(repeats[:150])
    assert sum(repeats[160:]) > 20


async def test_one_who_makes_no_use_of_that_gets_none(wire):
    source = Source(speech(2.0))
    take = source.recv

    async def recv():
        wire.report(0.05)
        return await take()

    source.recv = recv
    packets = await wire.sends(source, wanted=OpusParameters(fec=False))
    assert not any(has_recovery(packet.payload) for packet in packets)


@pytest.mark.parametrize(("seconds", "ticks"), [(0.01, 480), (0.04, 1920), (0.06, 2880)])
async def test_what_the_other_side_wants_now_holds_from_the_next_packet_on(wire, seconds, ticks):
    source = Source(tone(440, 2.4))
    take = source.recv

    async def recv():
        if len(wire.packets) == 60:
            wire.made.obey(OpusParameters(packet=seconds, bitrate=16_000))
        return await take()

    source.recv = recv
    packets = await wire.sends(source, wanted=OpusParameters(packet=0.02))
    times = [packet.timestamp for packet in packets]
    assert steps(times[:61], 2**32) == {960}
    assert steps(times[60:], 2**32) == {ticks}
    assert sum(len(packet.payload) for packet in packets[60:]) < 0.5 * sum(
        len(packet.payload) for packet in packets[:60]
    )


async def test_stereo_that_is_wanted_later_is_sent_then(wire):
    sides = np.concatenate((tone(440, 2.0, channels=1), tone(880, 2.0, channels=1)), axis=1)
    source = Source(sides)
    take = source.recv

    async def recv():
        if len(wire.packets) == 50:
            wire.made.obey(OpusParameters(stereo=True))
        return await take()

    source.recv = recv
    stereo = [bool(packet.payload[0] & STEREO_BIT) for packet in await wire.sends(source)]
    assert not any(stereo[:50])
    assert all(stereo[52:])


@pytest.mark.parametrize(("seconds", "lasts"), [(0.01, 480), (0.02, 960), (0.04, 1920), (0.06, 2880)])
async def test_our_own_track_gives_packets_of_any_length_when_they_are_due(wire, seconds, lasts):
    """One at a time: 10 ms leave every 10 ms, and not two of them every 20."""
    made, slot = wire.sender_of(BotAudioTrack(settings=OutboundAudio(rate=24_000)))
    made.obey(OpusParameters(packet=seconds))
    asked, give = [], made._track.next_piece
    made._track.next_piece = lambda wanted: asked.append(wanted) or give(wanted)
    sending = asyncio.ensure_future(wire.run(CODECS["opus"]))
    await until(lambda: len(wire.packets) >= 5)
    sending.cancel()
    assert steps([packet.timestamp for packet in wire.packets], 2**32) == {lasts}
    assert len(asked) - 1 <= len(wire.packets) * max(seconds / 0.02, 1) + 2
    assert max(asked) == pytest.approx(seconds)
    slot.end()


# Header extensions


@pytest.mark.parametrize("db", [0, -6, -20, -60])
async def test_the_level_of_each_packet_is_told_in_db_below_overload(monkeypatch, db):
    wave = np.resize(np.array([1, -1]) * round(32_767 * 10 ** (db / 20)), 48_000).astype(np.int16)
    packets = await Wire(monkeypatch, EXTENSIONS).sends(Source(wave[:, None]))
    assert {packet.extensions.audio_level for packet in packets} == {(False, -db)}
    assert {packet.extensions.mid for packet in packets} == {"0"}


async def test_digital_silence_has_the_lowest_level(monkeypatch):
    packets = await Wire(monkeypatch, EXTENSIONS).sends(Source(silence(0.2)))
    assert {packet.extensions.audio_level for packet in packets} == {(False, 127)}


async def test_what_was_not_negotiated_is_not_sent(monkeypatch):
    bare = await Wire(monkeypatch).sends(Source(tone(440, 0.2)))
    assert {(packet.extensions.mid, packet.extensions.audio_level) for packet in bare} == {(None, None)}
    named = await Wire(monkeypatch, EXTENSIONS[:1]).sends(Source(tone(440, 0.2)))
    assert {(packet.extensions.mid, packet.extensions.audio_level) for packet in named} == {("0", None)}


async def test_a_sender_that_is_switched_off_sends_nothing_and_its_track_goes_on(wire):
    wire.sender._enabled = False
    source = Source(tone(440, 1.0))
    assert await wire.sends(source) == []
    assert source.frames == []
