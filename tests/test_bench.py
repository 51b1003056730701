"""`scripts/bench`: its figures, its table and its rounds, and the bench itself in its smallest use."""

import asyncio
import json
import math
import os
import sys
from pathlib import Path

import pytest
from benchmark import bars, endurance, load, options, rounds, table
from benchmark.client import NotConnected, connected
from benchmark.contestants import AIORTC, FASTRTC, PIPECAT, PIPECAT_TUNED, SMALLRTC, USUAL, Contestant
from benchmark.endurance import Look, Minute
from benchmark.figures import median, percentile, ratio, slope
from benchmark.packets import material
from benchmark.results import Results, document
from benchmark.rows import ROWS, Row
from benchmark.server import DidNotStart, Server, Usage
from benchmark.timeline import Record
from calls import until

ROOT = Path(__file__).parents[1]


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
        assert ratio(12, -5, more_is_better=False) == 0

    def test_a_ratio_to_nothing_measured_is_none(self):
        assert math.isnan(ratio(1, math.nan, more_is_better=False))


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
        assert found["load.cpu.10"] == pytest.approx(2)
        assert math.isnan(found["load.cpu.50"])

    def test_a_server_that_not_all_could_reach_has_delivered_nothing(self):
        found = load.costs([self.window(1, 82, 12), self.window(10, 100, 75)])
        assert found["load.delivered.50"] == 0
        assert math.isnan(found["load.gap.50"])
        assert found["load.memory"] == pytest.approx(2)

    def test_the_threads_of_a_pool_are_no_sessions(self):
        found = load.costs([self.window(1, 82, 2), self.window(10, 100, 3), self.window(50, 180, 4)])
        assert found["load.threads"] == 0


class TestEndurance:
    LOOKS = tuple(
        Look(100 + 60 * minute, Usage(cpu=minute * 3.6, memory=memory, threads=2, sockets=3))
        for minute, memory in enumerate((80_000_000, 90_000_000, 90_010_000, 90_020_000))
    )

    def figures(self, *latencies: float) -> dict[str, float]:
        minutes = [Minute(latency, 0.98) for latency in latencies]
        return endurance.figures({"fast": minutes, "slow": minutes}, self.LOOKS)

    def test_what_counts_of_the_latency_is_how_the_last_minute_differs_from_the_first(self):
        found = self.figures(33.5, 60, 34.5)
        assert [found[f"endurance.fast.{name}"] for name in ("first", "last", "change", "worst")] == [33.5, 34.5, 1, 60]
        assert found["endurance.slow.delivered"] == pytest.approx(98)

    def test_memory_counts_from_the_end_of_the_first_minute_on(self):
        found = self.figures(33, 33, 33)
        assert (found["endurance.memory.first"], found["endurance.memory.last"]) == (90, 90.02)
        assert found["endurance.memory.slope"] == pytest.approx(10)

    def test_the_processor_is_shared_by_the_calls(self):
        assert self.figures(33, 33, 33)["endurance.cpu"] == pytest.approx(3)

    def test_every_figure_has_a_row(self):
        assert set(self.figures(33, 33, 33)) <= {each.name for each in ROWS}

    def test_a_minute_without_sound_is_no_minute_of_a_call(self):
        with pytest.raises(NotConnected, match="2 sent, 0 received"):
            endurance.listen(Record(sent=[1.0, 1.02]))


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

    def test_a_long_call_takes_half_an_hour_or_as_long_as_is_said(self):
        assert options.parse([]).call_minutes == 30
        assert options.parse(["--call-minutes", "0.1"]).call_minutes == 0.1

    def test_fastrtc_comes_on_request(self):
        assert options.parse(["--with", "fastrtc"]).servers == [*USUAL, FASTRTC]

    @pytest.mark.parametrize(
        "wrong", [["--only", "speed"], ["--servers", "nginx"], ["--rounds", "0"], ["--call-minutes", "nan"]]
    )
    def test_what_it_does_not_know_is_a_usage_error(self, wrong, capsys):
        with pytest.raises(SystemExit) as ended:
            options.parse(wrong)
        assert ended.value.code == 2
        assert f"`{wrong[1]}`" in capsys.readouterr().err


class TestRounds:
    def test_what_takes_minutes_is_measured_only_when_it_is_named(self):
        assert "capacity" not in [each.name for each in rounds.plan([])]
        assert [each.name for each in rounds.plan(["capacity", "connect"])] == ["connect", "capacity"]

    def test_endurance_takes_as_long_as_its_call_and_only_when_it_is_named(self):
        assert "endurance" not in [each.name for each in rounds.plan([])]
        (half_an_hour,), (short,) = rounds.plan(["endurance"]), rounds.plan(["endurance"], 0.1)
        assert half_an_hour.seconds > 1800
        assert half_an_hour.seconds - short.seconds == pytest.approx(1800 - 6)

    def test_what_takes_long_is_measured_once_unless_it_is_alone(self):
        names = [[each.name for each in part] for part in rounds.parted(rounds.plan(["load", "connect"]))]
        assert names == [["load"], ["connect"]]
        assert [len(part) for part in rounds.parted(rounds.plan(["load", "churn"]))] == [0, 2]

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
            # The standard library's server has a thread and a socket more while it answers a request.
            await until(lambda: (server.usage().threads, server.usage().sockets) == (1, 1))
            usage = server.usage()
            assert usage.memory > 1_000_000
        with pytest.raises(OSError, match="No such"):
            server.usage()

    async def test_no_start_is_an_error_of_its_own(self):
        with pytest.raises(DidNotStart, match="it said nothing"):
            async with Server(Contestant("gone", (sys.executable, "-c", ""))):
                pass


async def test_a_client_with_a_fast_clock_sends_in_less_than_20_ms_each():
    async with Server(SMALLRTC) as server, connected(server.url, material().payloads, drift=0.25) as client:
        await until(lambda: len(client.record.sent) >= 10)
        began = client.record.sent[0] - client.lateness[0]
        assert client._due - began == pytest.approx(0.016 * len(client.record.sent), abs=1e-6)


async def bench(*arguments: str) -> dict[str, float]:
    """The figures of smallrtc, in the order of the rows."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmark", "--servers", "smallrtc", "--rounds", "1", "--json", *arguments),
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
    return {each["name"]: each["median"]["smallrtc"] for each in shown["rows"]}


async def test_the_bench_measures_the_stages_of_a_call_to_smallrtc():
    answer, ice, dtls, channel, packet, sound = (await bench("--only", "connect")).values()
    assert 0 < answer < ice < dtls < min(channel, packet)
    assert packet <= sound


async def test_the_bench_measures_what_grows_in_a_long_call():
    found = await bench("--only", "endurance", "--call-minutes", "0.1")
    for call in ("fast", "slow"):
        first, last, change, worst, delivered = (
            found[f"endurance.{call}.{name}"] for name in ("first", "last", "change", "worst", "delivered")
        )
        assert min(first, last) > 28.9  # 20 ms of framing, and what two encoders look ahead: 6.5 and 2.5
        assert change == pytest.approx(last - first, abs=0.001)
        assert worst >= max(first, last)
        assert delivered > 0
    assert found["endurance.memory.last"] > 10
    assert found["endurance.cpu"] > 0
