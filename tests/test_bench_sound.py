"""How `scripts/bench` measures sound: chirps, packets and what is lost, by value."""

import numpy as np
import pytest
from benchmark import chirps, delay, packets
from benchmark.client import Client
from benchmark.figures import median
from benchmark.impairment import CLEAN, JITTERY, LOSSY, Impairment, Network
from benchmark.timeline import Record, delivered, gaps, latencies, unwrapped

SOUND = chirps.signal(2.0)
OPUS = 312
"Samples that libopus looks ahead in its `voip` mode: 6.5 ms."


def perfect_echo(seconds: float, late: float = 0.0) -> Record:
    """A server that decodes and encodes without any delay, at the other end of a line that takes `late` seconds."""
    heard = np.concatenate(packets.decode(packets.encode(chirps.signal(seconds))))
    record = Record()
    for index, payload in enumerate(packets.encode(heard)):
        now = 100 + 0.02 * index
        record.sent.append(now)
        packet = packets.build(96, 65_530 + index, index * packets.FRAME, 1, payload)
        record.received.append((now + late, packet))
    return record


class TestChirps:
    @pytest.mark.parametrize("place", [0, 3_000, 77_001, 94_080])
    def test_a_chirp_is_found_where_it_was_put(self, place):
        chirp = SOUND[:1920]
        sound = np.zeros(96_000, np.float32)
        sound[place : place + 1920] = chirp
        assert chirps.locate(chirp, sound) == pytest.approx(place, abs=3)  # a sample of 16 kHz

    def test_a_chirp_is_found_among_the_others_under_noise(self):
        noise = np.random.default_rng(1).normal(0, 0.05, len(SOUND)).astype(np.float32)
        for begin in range(0, len(SOUND) - 1920, 9600):
            assert chirps.locate(SOUND[begin : begin + 1920], SOUND + noise) == pytest.approx(begin, abs=3)

    def test_no_chirp_is_taken_for_another(self):
        for begin in range(0, len(SOUND), 1920):
            without = SOUND.copy()
            without[begin : begin + 1920] = 0
            assert chirps.locate(SOUND[begin : begin + 1920], without) is None

    def test_there_is_nothing_in_silence_nor_in_too_little(self):
        assert chirps.locate(SOUND[:1920], np.zeros(4800, np.float32)) is None
        assert chirps.locate(SOUND[:1920], SOUND[:960]) is None


class TestPackets:
    def test_a_packet_is_read_as_it_was_built(self):
        packet = packets.parse(packets.build(111, 65_536 + 7, 960, 0xDEADBEEF, b"sound"))
        assert packet == packets.Packet(7, 960, b"sound")

    def test_sources_extension_and_padding_are_skipped(self):
        plain = packets.build(111, 7, 960, 1, b"")
        head = bytes([0x80 | 0x20 | 0x10 | 2]) + plain[1:]
        extension = b"\xbe\xde\x00\x01" + b"\x10\xff\x00\x00"
        assert packets.parse(head + bytes(8) + extension + b"sound" + b"\x00\x00\x03").payload == b"sound"

    def test_what_is_no_opus_is_no_sound(self):
        assert len(packets.Decoder().decode(b"\xff")) == 0


class TestTimeline:
    def test_a_perfect_echo_is_late_by_its_framing_and_two_look_aheads(self):
        found = latencies(perfect_echo(2.0), SOUND)
        assert len(found) > 45
        assert found == pytest.approx([20 + 2 * OPUS / 48] * len(found), abs=0.1)

    def test_the_line_is_added(self):
        assert median(latencies(perfect_echo(2.0, late=0.1), SOUND, skip=0.5)) == pytest.approx(133, abs=0.1)

    def test_a_hole_spoils_the_chirps_that_were_in_it_and_moves_no_other(self):
        record = perfect_echo(2.0)
        del record.received[50:54]
        found = latencies(record, SOUND)
        assert 44 <= len(found) < len(latencies(perfect_echo(2.0), SOUND))
        assert min(found) > 32
        assert max(found) < 34

    def test_a_packet_that_was_overtaken_is_played_in_its_place(self):
        record = perfect_echo(2.0)
        packets_there = record.received
        packets_there[50], packets_there[51] = (
            (packets_there[50][0], packets_there[51][1]),
            (packets_there[51][0], packets_there[50][1]),
        )
        assert len(latencies(record, SOUND)) == len(latencies(perfect_echo(2.0), SOUND))

    def test_nothing_that_came_back_has_no_latency(self):
        assert latencies(Record(sent=[100 + 0.02 * index for index in range(100)]), SOUND) == []

    def test_sequence_numbers_are_counted_on_past_16_bits_and_back(self):
        numbers = [65_534, 65_535, 1, 0, 2]
        counted = unwrapped([packets.Packet(number, 0, b"") for number in numbers])
        assert counted == [65_534, 65_535, 65_537, 65_536, 65_538]

    def test_what_is_delivered_is_counted_in_sound(self):
        record = Record(sent=[0.0] * 100)
        record.received = [(0.0, packets.build(96, index, index * 1920, 1, b"")) for index in range(45)]
        assert delivered(record) == pytest.approx(0.9)

    def test_the_parts_of_a_call_have_the_latency_of_the_whole_also_when_the_sound_comes_round_again(self):
        whole = perfect_echo(2.0)
        record = Record(whole.sent[:75], whole.received[:75], begin=len(SOUND) // packets.FRAME)
        first = record.cut()
        record.sent += whole.sent[75:]
        record.received += whole.received[75:]
        found = [latencies(part, SOUND) for part in (first, record)]
        assert [len(part) for part in found] == [37, 11]  # of 50: not the one that was cut, nor the last one's end
        assert found[0] + found[1] == pytest.approx([20 + 2 * OPUS / 48] * 48, abs=0.1)

    def test_gaps_are_between_neighbours(self):
        assert gaps(Record(received=[(1.0, b""), (1.02, b""), (1.07, b"")])) == pytest.approx([20, 50])


class TestImpairment:
    def test_a_clean_network_does_nothing(self):
        assert {Impairment(CLEAN, 1).delay() for _ in range(100)} == {0.0}

    def test_a_seed_decides_what_is_lost(self):
        def lost(seed: int) -> list[bool]:
            impairment = Impairment(LOSSY, seed)
            return [impairment.delay() is None for _ in range(2000)]

        assert lost(1) == lost(1) != lost(2)
        assert 10 <= sum(lost(1)) <= 30

    @pytest.mark.parametrize(("network", "direction"), [(LOSSY, 0), (LOSSY, 1), (JITTERY, 0), (JITTERY, 1)])
    def test_the_seed_of_the_bench_loses_a_packet_before_latency_is_measured(self, network, direction):
        impairment = Impairment(network, 2 * delay.SEED + direction)
        lost = [index for index in range(350) if impairment.delay() is None]
        assert lost[0] <= 50
        assert 0.005 <= len(lost) / 350 <= 0.01

    async def test_what_comes_back_is_lost_as_often_but_never_late(self):
        client = Client([b""], network=JITTERY)
        there, back = ([each.delay() for _ in range(2000)] for each in (client._there, client._back))
        assert set(back) == {0.0, None}
        assert 1 <= back.count(None) <= 30
        assert max(delay for delay in there if delay is not None) > 0.029
        await client.close()

    def test_jitter_is_even_between_none_and_all(self):
        impairment = Impairment(Network(jitter=0.03), 1)
        delays = [delay for _ in range(2000) if (delay := impairment.delay()) is not None]
        assert len(delays) == 2000
        assert 0 <= min(delays) < 0.001 < 0.029 < max(delays) <= 0.03
