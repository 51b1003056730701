"""The pure parts of `scripts/bench`, by value, and the bench itself for its smallest use."""

import asyncio
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmark import bars, chirps, load, options, packets, rounds, table
from benchmark.contestants import AIORTC, FASTRTC, PIPECAT, PIPECAT_TUNED, SMALLRTC, USUAL, Contestant
from benchmark.figures import median, percentile, ratio, slope
from benchmark.impairment import CLEAN, LOSSY, Impairment, Network
from benchmark.results import Results, document
from benchmark.rows import ROWS, Row
from benchmark.server import DidNotStart, Server, Usage
from benchmark.timeline import Record, delivered, gaps, latencies, unwrapped

ROOT = Path(__file__).parents[1]
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


def results(**values: dict[str, list[float]]) -> Results:
    """Of smallrtc, Pipecat and aiortc; the row's name has `_` for `.`."""
    named = {name.replace("_", "."): value for name, value in values.items()}
    return Results(["smallrtc", "Pipecat", "aiortc"], {"date": "2026-01-02"}, named)


def row(name: str) -> Row:
    return next(each for each in ROWS if each.name == name)


class TestFigures:
    @pytest.mark.parametrize(("percent", "value"), [(0, 1), (25, 2), (50, 3), (95, 4.8), (100, 5)])
    def test_a_percentile_lies_between_two_values_by_proportion(self, percent, value):
        assert percentile([5, 3, 1, 4, 2], percent) == pytest.approx(value)

    def test_of_nothing_there_is_no_figure(self):
        assert math.isnan(percentile([], 50))
        assert math.isnan(median([math.nan]))
        assert math.isnan(slope([]))

    def test_the_median_leaves_out_what_was_not_measured(self):
        assert median([math.nan, 3, 1]) == 2

    def test_a_slope_is_that_of_the_line_through_the_points(self):
        assert slope([(1, 12), (10, 30), (50, 110)]) == pytest.approx(2)
        assert math.isnan(slope([(1, 1), (1, 2)]))

    def test_a_ratio_says_how_many_times_better_whichever_way_is_better(self):
        assert ratio(30, 240, more_is_better=False) == 8
        assert ratio(28, 7, more_is_better=True) == 4

    def test_needing_nothing_is_infinitely_better_than_needing_something_and_as_good_as_nothing(self):
        assert ratio(0, 7, more_is_better=False) == math.inf
        assert ratio(0, 0, more_is_better=False) == 1

    def test_a_ratio_to_nothing_measured_is_none(self):
        assert math.isnan(ratio(1, math.nan, more_is_better=False))


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

    def test_jitter_is_even_between_none_and_all(self):
        impairment = Impairment(Network(jitter=0.03), 1)
        delays = [delay for _ in range(2000) if (delay := impairment.delay()) is not None]
        assert len(delays) == 2000
        assert 0 <= min(delays) < 0.001 < 0.029 < max(delays) <= 0.03


class TestLoad:
    def window(self, sessions: int, memory: float, threads: int, delivered: float = 1.0) -> load.Window:
        usage = Usage(0, round(memory * 1e6), threads, 0)
        return load.Window(sessions, usage, cpu=0.02, gap=30, delivered=delivered, lateness=0)

    def test_memory_and_threads_are_what_each_further_session_adds(self):
        found = load.costs([self.window(1, 82, 12), self.window(10, 100, 75), self.window(50, 180, 355)])
        assert found["load.memory"] == pytest.approx(2)
        assert found["load.threads"] == 7
        assert found["load.cpu.50"] == pytest.approx(2)

    def test_the_queues_of_a_server_that_falls_behind_are_no_cost_of_a_session(self):
        found = load.costs([self.window(1, 82, 12), self.window(10, 100, 75), self.window(50, 900, 355, 0.4)])
        assert found["load.memory"] == pytest.approx(2)
        assert found["load.delivered.50"] == pytest.approx(40)

    def test_a_server_that_not_all_could_reach_has_delivered_nothing(self):
        found = load.costs([self.window(1, 82, 12), self.window(10, 100, 75)])
        assert found["load.delivered.50"] == 0
        assert math.isnan(found["load.gap.50"])
        assert found["load.memory"] == pytest.approx(2)

    def test_the_threads_of_a_pool_are_no_sessions(self):
        found = load.costs([self.window(1, 82, 2), self.window(10, 100, 3), self.window(50, 180, 4)])
        assert found["load.threads"] == 0


class TestTable:
    FOUND = results(
        latency_clean_p50={"smallrtc": [32.0, 30.0, 31.0], "Pipecat": [248.0], "aiortc": [115.8]},
        channel_in={"smallrtc": [14.0], "Pipecat": [7.0]},
    )

    def test_it_has_medians_the_ratio_to_pipecat_the_goal_and_the_verdict(self):
        header, latency, throughput = table.cells(self.FOUND)
        assert header == ["", "smallrtc", "Pipecat", "aiortc", "vs Pipecat", "goal", ""]
        assert latency == ["echo latency p50, ms", "31.0", "248", "116", "8×", "≤ 32", "ok"]
        assert throughput == ["60 KB messages in, MB/s", "14.0", "7.00", "–", "2×", "≥ 28", "short"]

    def test_a_server_that_failed_is_a_line(self):
        found = results(startup_port={"smallrtc": [0.3]})
        found.failures.append("Pipecat: it did not start")
        assert table.plain(found).splitlines()[-2:] == [
            "rounds 0 · date 2026-01-02",
            "failed: Pipecat: it did not start",
        ]

    def test_markdown_has_as_many_cells_in_every_line(self):
        lines = [line for line in table.markdown(self.FOUND).splitlines() if line.startswith("|")]
        assert len(lines) == 4
        assert {line.count("|") for line in lines} == {8}

    @pytest.mark.parametrize(
        ("value", "text"),
        [(math.nan, "–"), (0, "0"), (0.0042, "0.00"), (0.65, "0.65"), (7.26, "7.26"), (30.14, "30.1"), (444.4, "444")],
    )
    def test_a_number_has_three_digits(self, value, text):
        assert table.number(value) == text

    @pytest.mark.parametrize(("value", "text"), [(8.14, "8.1×"), (25.3, "25×"), (math.inf, "∞"), (math.nan, "–")])
    def test_a_ratio_says_times(self, value, text):
        assert table.times(value) == text

    def test_the_document_has_null_for_what_was_not_measured(self):
        shown = json.loads(json.dumps(document(self.FOUND)))
        latency, throughput = shown["rows"]
        assert shown["version"] == 1
        assert latency["median"] == {"smallrtc": 31.0, "Pipecat": 248.0, "aiortc": 115.8}
        assert latency["ratio_to_pipecat"] == {"smallrtc": 8.0, "Pipecat": 1.0, "aiortc": pytest.approx(2.1416)}
        assert throughput["median"]["aiortc"] is None
        assert throughput["rounds"] == {"smallrtc": [14.0], "Pipecat": [7.0]}

    def test_bars_are_as_long_as_their_share_of_the_largest(self):
        drawn = bars.svg(self.FOUND)
        assert 'width="430.0"' in drawn
        assert f'width="{430 * 31 / 248:.1f}"' in drawn
        assert drawn.count("<rect") == 1 + 3 + 3 + 2  # ground, legend, two groups

    def test_a_goal_is_reached_at_its_value(self):
        assert row("latency.clean.p50").reaches(32.0)
        assert not row("channel.in").reaches(27.9)
        assert row("connect.ice").reaches(1.0) is None

    def test_no_row_is_named_twice(self):
        assert len({each.name for each in ROWS}) == len(ROWS)


class TestOptions:
    def test_without_any_all_usual_servers_are_measured(self):
        chosen = options.parse([])
        assert chosen.servers == [*USUAL] == [SMALLRTC, PIPECAT, PIPECAT_TUNED, AIORTC]
        assert (chosen.rounds, chosen.only) == (2, [])

    def test_fastrtc_comes_on_request(self):
        assert options.parse(["--with", "fastrtc"]).servers == [*USUAL, FASTRTC]

    @pytest.mark.parametrize("wrong", [["--only", "speed"], ["--servers", "nginx"], ["--rounds", "0"]])
    def test_what_it_does_not_know_is_a_usage_error(self, wrong, capsys):
        with pytest.raises(SystemExit) as ended:
            options.parse(wrong)
        assert ended.value.code == 2
        assert f"`{wrong[1]}`" in capsys.readouterr().err


class TestRounds:
    def test_what_takes_minutes_is_measured_only_when_it_is_named(self):
        assert "capacity" not in [each.name for each in rounds.plan([])]
        assert [each.name for each in rounds.plan(["capacity", "connect"])] == ["connect", "capacity"]

    def test_each_server_is_the_first_in_turn(self):
        first = [rounds.order(USUAL, number)[0] for number in range(len(USUAL))]
        assert first == [*USUAL]

    async def test_a_round_that_would_end_too_late_is_not_begun(self):
        broken, told = Contestant("broken", (sys.executable, "-c", "")), []
        found = Results(["broken"], {})
        await rounds.run(found, [broken], rounds.plan(["connect"]), 3, 0.0, told.append)
        assert told == ["round 1 of 3", "broken: connect", "no time for round 2"]
        assert found.rounds == 1

    async def test_a_server_that_does_not_start_is_a_sentence_with_its_last_words(self):
        broken = Contestant("broken", (sys.executable, "-c", "raise SystemExit('no such port: {port}')"))
        found = Results(["broken"], {})
        await rounds.run(found, [broken], rounds.plan(["connect"]), 1, 60, lambda _: None)
        (failure,) = found.failures
        assert failure.startswith("broken: broken did not start: no such port: ")
        assert found.values == {}

    async def test_a_server_that_answers_nonsense_is_a_sentence_and_is_ended(self):
        odd = Contestant("odd", (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"))
        found = Results(["odd"], {})
        await rounds.run(found, [odd], rounds.plan(["connect"]), 1, 60, lambda _: None)
        (failure,) = found.failures
        assert failure.startswith("odd: connect: the offer was answered with 501")

    async def test_a_server_that_went_away_has_no_usage(self):
        async with Server(
            Contestant("quiet", (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"))
        ) as server:
            usage = server.usage()
            assert usage.threads == 1
            assert usage.sockets == 1
            assert usage.memory > 1_000_000
        with pytest.raises(OSError, match="No such"):
            server.usage()

    async def test_no_start_is_an_error_of_its_own(self):
        with pytest.raises(DidNotStart, match="it said nothing"):
            async with Server(Contestant("gone", (sys.executable, "-c", ""))):
                pass


async def test_the_bench_measures_the_stages_of_a_call_to_smallrtc():
    command = ["-m", "benchmark", "--only", "connect", "--servers", "smallrtc", "--rounds", "1", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, told = await asyncio.wait_for(process.communicate(), 50)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, told.decode()
    shown = json.loads(printed)
    assert shown["failures"] == []
    answer, ice, dtls, channel, packet, sound = (each["median"]["smallrtc"] for each in shown["rows"])
    assert 0 < answer < ice < dtls < min(channel, packet)
    assert packet <= sound
