"""The search for the largest chunk, driven by a limit, a loss pattern and a clock of its own."""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from smallrtc_cli.protocol.mtu import MOST_ROUNDS, SENTINELS, STEP, TRIES, Finding, MtuSearch, Outcome
from smallrtc_cli.protocol.packet_sizes import Layers

LADDER = Layers().ladder()
SIZES = range(LADDER[0], LADDER[-1] + STEP, STEP)
LIMITS = [Layers().largest_chunk(mtu) for mtu in range(576, 1501)]
"What paths of every MTU carry over IPv4."

Lost = Callable[[float, int], bool]


def nothing_lost(now: float, size: int) -> bool:
    return False


@dataclass
class Path:
    """What a search meets; times in seconds, sizes in user bytes."""

    limit: int
    rtt: float = 0.002
    lost: Lost = nothing_lost
    local: int | None = None
    guess: float | None = None
    pause: float = 0.0
    "Between two answers: what a slow link takes."

    def search(self, ladder: list[int] = LADDER) -> tuple[Finding, MtuSearch]:
        search = MtuSearch(ladder[0], ladder[-1], self.guess or self.rtt, common=ladder)
        now, free, answers = 0.0, 0.0, []
        while search.result is None:
            for probe in search.next(now):
                if self.local is not None and probe.size > self.local:
                    search.too_big(probe.size)
                elif probe.size <= self.limit and not self.lost(now, probe.size):
                    free = max(now, free) + self.pause
                    heapq.heappush(answers, (free + self.rtt, probe.id))
            if search.result is not None:
                break
            if answers and answers[0][0] <= search.deadline:
                now, probe_id = heapq.heappop(answers)
                search.answered(probe_id, now)
            else:
                now = search.deadline
        return search.result, search


def random_loss(each_way: float, seed: int) -> Lost:
    draws = random.Random(seed)
    return lambda now, size: draws.random() < each_way or draws.random() < each_way


@pytest.mark.parametrize(("rtt", "most"), [(0.002, 0.2), (0.3, 2.0)])
def test_every_limit_is_found_exactly_and_soon_where_nothing_is_lost(rtt, most):
    for limit in sorted(set(LIMITS)):
        found, _ = Path(limit, rtt).search()
        assert (found.outcome, found.largest) == (Outcome.FOUND, limit)
        assert (found.exact, found.refused) == (True, limit + STEP)
        assert found.seconds <= most
        assert found.probes <= 200


@pytest.mark.parametrize("each_way", [0.05, 0.15])
@pytest.mark.parametrize("rtt", [0.002, 0.3])
def test_random_loss_is_not_read_as_a_limit_and_the_result_is_never_too_high(each_way, rtt):
    missed = []
    for seed in range(400):
        limit = random.Random(seed).choice(SIZES)
        found, _ = Path(limit, rtt, random_loss(each_way, seed)).search()
        assert limit - 12 <= found.largest <= limit
        assert found.seconds <= 3
        missed.append(found.largest != limit)
    assert sum(missed) <= (4 if each_way == 0.05 else 24)


def test_a_path_that_carries_all_has_no_limit_and_says_so():
    found, _ = Path(10_000).search()
    assert (found.largest, found.refused, found.exact) == (LADDER[-1], None, False)
    assert found.probes == len(LADDER) + SENTINELS


def test_a_limit_below_the_smallest_size_is_told_from_silence():
    found, _ = Path(LADDER[0] - STEP).search()
    assert (found.outcome, found.largest, found.refused) == (Outcome.BELOW, None, LADDER[0])


@pytest.mark.parametrize("rtt", [0.002, 0.3])
def test_a_peer_that_answers_nothing_is_given_up_in_time_for_another_method(rtt):
    found, _ = Path(0, rtt).search()
    assert (found.outcome, found.largest, found.refused) == (Outcome.UNANSWERED, None, None)
    assert found.seconds <= (0.6 if rtt < 0.1 else 1.6)


@pytest.mark.parametrize("local", [LADDER[0], 1184, 1188, 1400, LADDER[-1] - STEP])
def test_what_our_own_system_refuses_ends_the_search_without_a_wait(local):
    found, search = Path(10_000, local=local).search()
    assert (found.largest, found.refused, found.exact, found.local) == (local, local + STEP, True, True)
    assert search.rounds <= 2
    assert found.seconds <= 0.005


def test_a_limit_on_the_way_below_that_of_our_own_interface_is_not_called_local():
    found, _ = Path(1184, local=1404).search()
    assert (found.largest, found.refused, found.local) == (1184, 1188, False)


def test_our_own_interface_below_the_smallest_size_is_below():
    found, _ = Path(10_000, local=300).search()
    assert (found.outcome, found.largest, found.refused, found.local) == (Outcome.BELOW, None, LADDER[0], True)


@pytest.mark.parametrize("gone", [(0.0, 0.2), (0.004, 0.2), (0.02, 0.3), (0.04, 0.5)])
def test_a_path_that_is_gone_for_a_while_is_not_read_as_a_limit(gone):
    found, _ = Path(1404, lost=lambda now, size: gone[0] <= now < gone[1]).search()
    assert (found.largest, found.exact) == (1404, True)


@pytest.mark.parametrize("guess", [0.0005, 0.05, 2.0])
def test_a_wrong_guess_of_the_round_trip_does_no_harm(guess):
    found, search = Path(1184, rtt=0.1, guess=guess).search()
    assert (found.largest, found.exact) == (1184, True)
    assert search.round_trip == pytest.approx(0.1)


def test_a_slow_link_that_answers_late_is_waited_for():
    found, _ = Path(1384, rtt=0.04, pause=0.009).search()  # a megabit in a second
    assert (found.largest, found.exact) == (1384, True)


def test_a_common_size_that_is_always_lost_hides_nothing_above_it():
    found, _ = Path(1400, lost=lambda now, size: size == 1364).search()
    assert found.largest == 1400


def test_a_run_of_lost_sizes_at_a_common_one_does_not_end_the_search():
    unlucky = set(range(1264, 1284, STEP))
    assert Path(1300, lost=lambda now, size: size in unlucky).search()[0].largest == 1300


def test_a_size_is_refused_only_after_so_many_tries():
    tries: dict[int, int] = {}

    def lost(now: float, size: int) -> bool:
        tries[size] = tries.get(size, 0) + 1
        return size == 1400 and tries[size] < TRIES

    assert Path(1400, lost=lost).search()[0].largest == 1400


def test_what_is_proven_can_be_read_while_the_search_goes_on():
    search = MtuSearch(480, 1432, 0.01, common=LADDER)
    probes = search.next(0.0)
    assert [probe.size for probe in probes] == [*LADDER, *[STEP] * SENTINELS]
    assert search.best is None
    search.answered(probes[3].id, 0.01)
    assert search.best == LADDER[3]
    assert search.next(0.01) == []


def test_the_time_limit_ends_a_search_with_a_lower_bound():
    search = MtuSearch(480, 1432, 0.1, common=LADDER, time_limit=0.15)
    for probe in search.next(5.0)[:4]:
        search.answered(probe.id, 5.1)
    assert search.deadline <= 5.15
    assert search.next(5.15) == []
    assert (search.result.outcome, search.result.largest, search.result.exact) == (Outcome.FOUND, LADDER[3], False)
    assert search.deadline is None
    assert search.next(6.0) == []


def test_an_answer_that_is_unknown_or_comes_twice_changes_nothing():
    search = MtuSearch(480, 1432, 0.1, common=LADDER)
    search.answered(0, 0.0)
    probes = search.next(0.0)
    for probe_id in (10_000, probes[0].id, probes[0].id):
        search.answered(probe_id, 0.1)
    assert search.best == LADDER[0]


def test_a_search_ends_whatever_is_lost():
    for seed in range(60):
        draws = random.Random(seed)
        found, search = Path(1184, lost=lambda now, size: draws.random() < 0.8).search()  # noqa: B023
        assert found.largest is None or found.largest <= 1184
        assert search.rounds <= MOST_ROUNDS


def test_a_ladder_of_one_step_works():
    for limit, largest in itertools.product((480, 484, 500), (480,)):
        found, _ = Path(limit).search([480, 484])
        assert found.largest == (largest if limit < 484 else 484)
