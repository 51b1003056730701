"""The promises of the jitter buffer, by value: what is heard, when, and what became of every packet and sample."""

import gc
import random
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from played import largest_step
from received import (
    GARBAGE,
    PACKET,
    RATE,
    PieceDecoder,
    Player,
    deliver,
    packets,
    playing,
    rms,
    syllables,
    voice,
)

from smallrtc_cli.audio.codecs import decoder_for, encoder_for
from smallrtc_cli.audio.playout import Playout
from smallrtc_cli.config import Opus
from smallrtc_cli.config import Playout as Settings

SETTINGS = Settings()
SOUND = voice(20)


@pytest.fixture
def decoder():
    return PieceDecoder(SOUND)


def without(sent, *lost):
    return [packet for number, packet in enumerate(sent) if number not in lost]


def source(sound):
    """The piece of the source that belongs to a sound of a stream that began at timestamp 0."""
    return SOUND[sound.timestamp : sound.timestamp + sound.span]


def in_a_row(sounds):
    """No sound begins before the one before has ended."""
    return all(a.end <= b.timestamp for a, b in zip(sounds, sounds[1:], strict=False))


# In order


@pytest.mark.parametrize("samples", [80, 160, 320, 480, 960])
def test_packets_in_order_leave_at_once_bit_by_bit(decoder, samples):
    sent = packets(100, samples=samples)
    heard = deliver(playing(decoder), sent)
    assert heard.times == [packet.arrives for packet in sent]
    assert np.array_equal(heard.samples, SOUND[: 100 * samples])
    assert heard.count("jitterBufferDelay") == 0
    assert heard.count("jitterBufferEmittedCount") == heard.count("totalSamplesReceived") == 100 * samples


def test_jitter_that_keeps_the_order_adds_no_delay(decoder):
    shaken = random.Random(1)
    sent = [packet.late(shaken.uniform(0, 0.019)) for packet in packets(200)]
    heard = deliver(playing(decoder), sent)
    assert heard.times == [packet.arrives for packet in sent]


def test_numbers_and_timestamps_wrap_around_unnoticed(decoder):
    heard = deliver(playing(decoder), packets(100, sequence=65_500, timestamp=2**32 - 50 * PACKET))
    assert np.array_equal(heard.samples, SOUND[: 100 * PACKET])
    assert [sound.timestamp for sound in heard.sounds] == [2**32 + (n - 50) * PACKET for n in range(100)]


# Holes


def test_a_hole_is_concealed_at_its_deadline_and_what_waited_leaves_at_once(decoder):
    heard = deliver(playing(decoder), without(packets(20), 10))
    assert [sound.concealed for sound in heard.sounds] == [False] * 10 + [True] + [False] * 9
    assert heard.times[9:14] == pytest.approx([0.2, 0.26, 0.26, 0.26, 0.28])
    assert heard.sounds[10].span == PACKET
    assert heard.count("concealedSamples") == PACKET
    assert heard.count("concealmentEvents") == 1


def test_after_one_loss_the_next_is_not_waited_for(decoder):
    heard = deliver(playing(decoder), without(packets(20), 5, 15))
    second = heard.concealed[1]
    assert heard.times[heard.sounds.index(second)] == pytest.approx(17 * 0.02)


def test_a_loss_adds_no_delay_to_what_comes_later(decoder):
    sent = without(packets(900), *range(7, 900, 50))
    heard = deliver(playing(decoder), sent)
    late = [at - (sound.end / RATE) for at, sound in zip(heard.times, heard.sounds, strict=True) if not sound.concealed]
    assert max(late) <= SETTINGS.first_wait + 1e-9
    assert sum(each > 1e-9 for each in late) <= 2


def test_what_the_next_packet_repeats_is_not_made_up(decoder):
    decoder.repeats = True
    heard = deliver(playing(decoder), without(packets(50), 10, 20, 21, 22))
    assert [sound.timestamp // PACKET for sound in heard.concealed] == [20, 21]
    assert np.array_equal(heard.sounds[10].samples, source(heard.sounds[10]))
    assert heard.count("concealmentEvents") == 1


def test_reordered_packets_are_put_in_order(decoder):
    sent = packets(200)
    sent = [packet.late(0.025 if number % 10 == 3 else 0) for number, packet in enumerate(sent)]
    heard = deliver(playing(decoder), sent)
    assert np.array_equal(heard.samples, SOUND[: 200 * PACKET])
    assert heard.count("concealedSamples") == 0


def test_a_packet_that_comes_too_late_is_discarded_and_the_next_one_is_waited_for(decoder):
    sent = [packet.late(0.1 if number in (50, 100) else 0) for number, packet in enumerate(packets(200))]
    heard = deliver(playing(decoder), sent)
    assert [sound.timestamp // PACKET for sound in heard.concealed] == [50]
    assert heard.count("packetsDiscarded") == 1
    assert heard.playout.target == pytest.approx(0.08 + SETTINGS.margin)


def test_no_hole_holds_anything_back_for_longer_than_the_longest_wait(decoder):
    sent = [packet.late(0.3 if number % 9 == 3 else 0) for number, packet in enumerate(packets(398))]
    heard = deliver(playing(decoder), sent)
    waited = [at - sound.end / RATE for at, sound in zip(heard.times, heard.sounds, strict=True) if not sound.concealed]
    assert max(waited) <= SETTINGS.longest_wait + 1e-9


def test_duplicates_are_counted_and_not_played(decoder):
    sent = [each for packet in packets(50) for each in (packet, packet.late(0.001), packet.late(0.07))]
    heard = deliver(playing(decoder), sent)
    assert np.array_equal(heard.samples, SOUND[: 50 * PACKET])
    assert heard.count("duplicates") == 100
    assert heard.count("packetsDiscarded") == 0


@pytest.mark.parametrize("conceals", [True, False])
def test_a_long_loss_fades_to_silence_and_then_time_passes(decoder, conceals):
    decoder.conceals = conceals
    heard = deliver(playing(decoder), without(packets(200), *range(50, 150)))
    assert heard.count("concealedSamples") == SETTINGS.silent * RATE
    assert heard.count("concealmentEvents") == 1
    levels = [rms(sound.samples) for sound in heard.concealed]
    assert levels[1] > levels[2] > levels[3] > levels[4]
    after = heard.received[50]
    assert after.timestamp == 150 * PACKET
    assert abs(int(after.samples[0, 0])) < 300
    assert np.array_equal(after.samples[40:], source(after)[40:])


def test_losses_leave_no_click(decoder):
    heard = deliver(playing(decoder), without(packets(900), *range(7, 900, 20), *range(8, 900, 60)))
    assert largest_step(heard.samples) <= 1.2 * largest_step(SOUND)
    assert rms(heard.samples) == pytest.approx(rms(SOUND), rel=0.1)


def test_packets_that_mean_nothing_are_concealed(decoder):
    sent = [replace(each, payload=GARBAGE) if n in (0, 30, 31) else each for n, each in enumerate(packets(60))]
    heard = deliver(playing(decoder), sent)
    assert heard.count("undecodable") == 3
    assert [sound.timestamp // PACKET for sound in heard.concealed] == [30, 31]
    assert [sound.timestamp // PACKET for sound in heard.received] == [*range(1, 30), *range(32, 60)]


def test_garbage_for_ever_is_silence_and_not_sound_for_ever(decoder):
    sent = [replace(each, payload=GARBAGE) if n > 9 else each for n, each in enumerate(packets(500))]
    assert deliver(playing(decoder), sent).count("concealedSamples") == SETTINGS.silent * RATE


# Pauses and new starts


def pausing(count, at, seconds):
    """A sender that sends nothing for a while; its numbers go on without a gap (DTX)."""
    ticks = round(seconds * RATE)
    return [
        replace(each, arrives=each.arrives + seconds, timestamp=each.timestamp + ticks) if number >= at else each
        for number, each in enumerate(packets(count))
    ]


@pytest.mark.parametrize("seconds", [0.02, 0.4, 30.0])
def test_a_pause_of_the_sender_is_time_and_not_sound(decoder, seconds):
    heard = deliver(playing(decoder), pausing(40, 20, seconds))
    assert heard.count("concealedSamples") == 0
    assert np.array_equal(heard.samples, SOUND[: 40 * PACKET])
    assert heard.sounds[20].timestamp - heard.sounds[19].end == seconds * RATE


def test_a_loss_before_a_pause_is_no_longer_than_the_packet(decoder):
    heard = deliver(playing(decoder), without(pausing(40, 20, 2.0), 19))
    assert heard.count("concealedSamples") == PACKET
    assert abs(int(heard.concealed[0].samples[-1, 0])) < 300
    assert heard.received[19].timestamp == 20 * PACKET + 2 * RATE


def test_comfort_noise_passes_time_and_takes_its_place_in_the_order(decoder):
    sent = [replace(each, payload=b"") if 10 <= n < 20 else each for n, each in enumerate(packets(40))]
    heard = deliver(playing(decoder), without(sent, 15))
    assert [sound.timestamp // PACKET for sound in heard.received] == [*range(10), *range(20, 40)]
    quiet = deliver(playing(decoder), sent)
    assert quiet.count("concealedSamples") == 0


def test_a_new_packet_time_is_followed_without_a_gap(decoder):
    short, long = packets(10), packets(20, samples=3 * PACKET)
    sent = short + [replace(each, sequence=each.sequence + 6) for each in long[4:]]
    heard = deliver(playing(decoder), sent)
    assert heard.sounds[10].timestamp == 12 * PACKET
    assert heard.sounds[10].end == heard.sounds[11].timestamp


def test_a_lost_packet_of_a_new_length_is_concealed_whole(decoder):
    short, long = packets(9), packets(20, samples=3 * PACKET)
    sent = short + [replace(each, sequence=each.sequence + 6) for each in long[3:]]
    heard = deliver(playing(decoder), without(sent, 9))
    assert heard.count("concealedSamples") == 3 * PACKET
    assert in_a_row(heard.sounds)


@pytest.mark.parametrize(("sequence", "timestamp"), [(30_000, 10**9), (3_100, 0), (65_000, 4 * 10**9)])
def test_a_new_start_follows_what_was_before(decoder, sequence, timestamp):
    new = [each.late(1.0) for each in packets(51, sequence=sequence, timestamp=timestamp)]
    heard = deliver(playing(decoder), packets(50) + new)
    assert [sound.timestamp for sound in heard.sounds] == [number * PACKET for number in range(100)]
    assert np.array_equal(heard.sounds[50].samples, SOUND[PACKET : 2 * PACKET])
    assert heard.count("packetsDiscarded") == 1
    assert decoder.resets == 1


@pytest.mark.parametrize("timestamp", [10**9, 3 * 10**9, 4 * 10**9])
def test_a_new_clock_in_the_middle_is_no_pause(decoder, timestamp):
    new = packets(100, timestamp=timestamp)[50:]
    heard = deliver(playing(decoder), packets(50) + new)
    assert [sound.timestamp for sound in heard.sounds] == [number * PACKET for number in range(100)]


def test_another_source_begins_anew(decoder):
    playout = playing(decoder)
    first = deliver(playout, packets(20))
    playout.receive(21, 21 * PACKET, packets(22)[21].payload, 0.44)
    rest = playout.restart(0.45)
    assert [sound.concealed for sound in rest] == [True, False]
    second = deliver(playout, [each.late(1.0) for each in packets(20, sequence=5, timestamp=77)])
    assert np.array_equal(second.samples, SOUND[: 20 * PACKET])
    assert decoder.resets == 1
    assert in_a_row(first.sounds + rest + second.sounds)
    assert playout.deadline is None


# A player in real time


def stalled(sent, begin, end):
    """What comes in between comes all at once, at the end of it."""
    return [each.late(max(0.0, end - each.arrives)) if each.arrives >= begin else each for each in sent]


def calm(decoder, sent):
    player = Player()
    return player, deliver(playing(decoder, player), sent, player)


@pytest.mark.parametrize("seconds", [0.03, 0.1, 0.2, 1.0])
def test_a_burst_after_a_stall_adds_no_lasting_delay(decoder, seconds):
    player, heard = calm(decoder, stalled(packets(700), 5.0, 5.0 + seconds))
    assert player.least(5.0 + seconds, 6.0 + seconds) == 0 or seconds < 0.1
    assert player.least(9.0 + seconds, 11.0) < 0.005
    assert heard.count("removedSamplesForAcceleration") > 0
    assert heard.count("totalSamplesReceived") - heard.count("removedSamplesForAcceleration") == len(heard.samples)
    assert largest_step(heard.samples) <= 1.2 * largest_step(SOUND)


def test_who_does_not_play_in_real_time_gets_every_sample_of_a_burst(decoder):
    heard = deliver(playing(decoder), stalled(packets(700), 5.0, 6.0))
    assert np.array_equal(heard.samples, SOUND[: 700 * PACKET])


@pytest.mark.parametrize("lost", [1, 2, 5, 20])
def test_a_loss_leaves_no_lasting_delay(decoder, lost):
    player, _ = calm(decoder, without(packets(600), *range(100, 100 + lost)))
    assert player.least(2 + lost * 0.02 + 4, 11) < 0.005


@pytest.mark.parametrize("ppm", [500, 200, -200, -500])
def test_a_clock_that_is_off_accumulates_nothing_in_five_minutes(decoder, ppm):
    sent = [replace(each, payload=packets(1)[0].payload) for each in packets(15_000, ppm=ppm)]
    player, heard = calm(PieceDecoder(SOUND), sent)
    assert max(held for _, held in player.holds) < SETTINGS.excess + 0.001
    drained = heard.count("removedSamplesForAcceleration") / RATE
    assert drained == pytest.approx(max(0.0, 300 * ppm * 1e-6), abs=SETTINGS.excess)


def test_half_an_hour_of_drift_and_loss_at_constant_delay(decoder):
    dice = random.Random(3)
    piece = packets(900)
    sent = [replace(s, payload=piece[n % 900].payload) for n, s in enumerate(packets(90_000, ppm=200))]
    player, heard = calm(decoder, [each for each in sent if dice.random() >= 0.02])
    quarters = [np.mean([held for at, held in player.holds if n * 450 <= at < n * 450 + 450]) for n in range(4)]
    assert max(quarters) < 0.025
    assert np.ptp(quarters) < 0.005
    assert heard.playout.deadline is None
    assert heard.sounds[-1].end == 90_000 * PACKET


def test_memory_is_flat(decoder):
    player, dice = Player(), random.Random(3)
    playout = playing(decoder, player)
    sent = [replace(s, payload=packets(1)[0].payload) for s in packets(4_000) if dice.random() >= 0.1]
    tracemalloc.start()
    try:
        sizes = []
        for part in (sent[:1_000], sent[1_000:]):
            deliver(playout, part, player)
            player.holds.clear()
            gc.collect()
            ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*smallrtc_cli*")])
            sizes.append(sum(trace.size for trace in ours.traces))
    finally:
        tracemalloc.stop()
    assert sizes[1] < sizes[0] + 5_000


# Whatever the network does


FATES = st.sampled_from(["ok"] * 12 + ["lost", "lost", "late", "twice", "garbage", "noise"])


@st.composite
def journeys(draw):
    """Packets with a fate each, pauses in between, and a clock that is off."""
    samples = draw(st.sampled_from([80, 160, 480, 960]))
    jitter = draw(st.sampled_from([0.0, 0.005, 0.05, 0.4]))
    ppm = draw(st.integers(-500, 500))
    fates = draw(st.lists(FATES, min_size=2, max_size=120))
    pauses = draw(st.dictionaries(st.integers(1, 119), st.floats(0.01, 3.0), max_size=3))
    start = draw(st.sampled_from([(0, 0), (65_500, 2**32 - 3_000)]))
    dice = random.Random(draw(st.integers(0, 2**32)))
    paused, arriving = 0.0, []
    for number, (fate, sent) in enumerate(
        zip(fates, packets(len(fates), samples=samples, sequence=start[0], timestamp=start[1], ppm=ppm), strict=True)
    ):
        paused += pauses.get(number, 0.0)
        timestamp = (sent.timestamp + round(paused * RATE)) % 2**32
        sent = replace(sent.late(paused + dice.uniform(0, jitter)), timestamp=timestamp)
        match fate:
            case "ok":
                arriving.append(sent)
            case "late":
                arriving.append(sent.late(dice.uniform(0, 0.5)))
            case "twice":
                arriving += [sent, sent.late(dice.uniform(0, 0.3))]
            case "garbage":
                arriving.append(replace(sent, payload=GARBAGE))
            case "noise":
                arriving.append(replace(sent, payload=b""))
    return arriving, samples


@settings(max_examples=250, deadline=None)
@given(journeys(), st.booleans(), st.booleans())
def test_whatever_happens_order_is_kept_and_everything_is_accounted_for(journey, repeats, conceals):
    arriving, samples = journey
    decoder = PieceDecoder(SOUND, repeats=repeats, conceals=conceals)
    heard = deliver(playing(decoder), arriving)
    empty = [packet.payload for packet in arriving if not packet.payload]
    kept = len(arriving) - heard.count("packetsDiscarded") - heard.count("duplicates") - heard.count("undecodable")
    assert in_a_row(heard.sounds)
    assert heard.playout.deadline is None
    if not repeats:
        assert kept - len(empty) <= len(heard.received) <= kept
    assert all(len(sound.samples) == sound.span for sound in heard.sounds)
    assert sum(len(sound.samples) for sound in heard.received) == heard.count("jitterBufferEmittedCount")
    assert sum(len(sound.samples) for sound in heard.concealed) == heard.count("concealedSamples")
    assert heard.count("jitterBufferDelay") <= len(arriving) * samples * SETTINGS.longest_wait
    assert heard.count("concealedSamples") <= (len(arriving) + 1) * (SETTINGS.silent * RATE + samples)
    for sound in heard.received:
        assert any(np.array_equal(sound.samples[40:], SOUND[n + 40 : n + samples]) for n in range(0, 120 * 960, 80))


@settings(max_examples=60, deadline=None)
@given(journeys())
def test_whatever_happened_a_player_in_real_time_is_left_with_no_delay(journey):
    arriving, samples = journey
    last = max((packet.arrives for packet in arriving), default=0.0)
    quiet = 6.0
    begin = last + 0.3
    after = packets(round(quiet * RATE / samples), samples=samples, sequence=40_000, timestamp=10**6)
    player = Player()
    deliver(playing(PieceDecoder(SOUND), player), arriving + [each.late(begin) for each in after], player)
    assert player.least(begin + quiet - 1.5, begin + quiet) < SETTINGS.excess
    assert max(held for _, held in player.holds) < 60


# With real codecs


LOST = frozenset(range(30, 190, 15))
RTP_CLOCKS = {"audio/opus": 48_000, "audio/G722": 8_000, "audio/PCMU": 8_000, "audio/PCMA": 8_000}
CODECS = [("audio/opus", 16_000), ("audio/opus", 48_000), ("audio/G722", 16_000), ("audio/PCMU", 8_000)]


def called(mime, rate, lost, speech, opus=None):
    """Speech through a real codec, without the lost packets; clock and timestamps as RTP has them."""
    encoder, decoder = encoder_for(mime, rate, 1, opus or Opus()), decoder_for(mime, rate, 1)
    playout, sounds = Playout(decoder, clock_rate=RTP_CLOCKS[mime]), []
    ticks = encoder.packet * RTP_CLOCKS[mime] // rate
    for number, piece in enumerate(np.split(speech, range(encoder.packet, len(speech), encoder.packet))):
        payload = encoder.encode(piece)
        if number not in lost:
            sounds += playout.receive(number, number * ticks, payload, number * 0.02)
    return playout, sounds


def samples_of(sounds):
    return np.concatenate([sound.samples for sound in sounds]).astype(np.float64)


@pytest.mark.parametrize(("mime", "rate"), CODECS)
def test_every_codec_is_heard_whole_and_at_its_level_through_losses(mime, rate):
    speech = voice(4, rate)
    whole = samples_of(called(mime, rate, (), speech)[1])
    playout, sounds = called(mime, rate, LOST, speech)
    heard = samples_of(sounds)
    assert in_a_row(sounds)
    assert len(heard) == len(whole) == len(speech)
    assert playout.statistics["undecodable"] == 0
    assert rms(heard[rate:]) == pytest.approx(rms(whole[rate:]), rel=0.15)
    assert largest_step(heard[rate:]) <= 2 * largest_step(whole[rate:])


def test_opus_repeats_what_was_lost_and_that_is_better_than_made_up():
    speech, damage = syllables(4, 16_000), {}
    for fec in (True, False):
        settings = Opus(application="voip", bitrate=24_000, fec=fec, loss=20)
        whole = samples_of(called("audio/opus", 16_000, (), speech, settings)[1])
        playout, sounds = called("audio/opus", 16_000, LOST, speech, settings)
        assert {sound.span for sound in sounds} == {960}
        damage[fec] = playout.statistics["concealedSamples"], rms(samples_of(sounds) - whole)
    assert damage[True][0] <= 5 * 320
    assert damage[False][0] == len(LOST) * 320
    assert damage[True][1] < 0.7 * damage[False][1]
