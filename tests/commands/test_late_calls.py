"""Who asks before there is somebody to answer waits, and is answered or refused: by order of events, never by time."""

import asyncio

import pytest

from smallrtc_cli.commands.late_calls import LateCalls
from smallrtc_cli.errors import ServerClosing
from smallrtc_cli.protocol.signalling import SmallWebRTCPatchRequest, SmallWebRTCRequest

OFFER = SmallWebRTCRequest("v=0", "offer")
CANDIDATES = SmallWebRTCPatchRequest("a", ())

ASKED = {
    "an offer": (lambda late: late.offer(OFFER), ("offer", OFFER)),
    "candidates": (lambda late: late.candidates(CANDIDATES), ("candidates", CANDIDATES)),
    "statistics": (lambda late: late.stats(), ("stats",)),
    "metrics": (lambda late: late.metrics(), ("metrics",)),
}


class Broken:
    traceback, error = "", ServerClosing("it does not load")


class FakeCalls:
    """Keeps what it was asked."""

    broken = None

    def __init__(self):
        self.asked = []

    async def offer(self, request):
        self.asked.append(("offer", request))
        return "an answer"

    async def candidates(self, request):
        self.asked.append(("candidates", request))

    async def stats(self):
        self.asked.append(("stats",))

    async def metrics(self):
        self.asked.append(("metrics",))


async def waiting(ask, late):
    """The question as a task that has got as far as it can."""
    task = asyncio.create_task(ask(late))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()
    return task


@pytest.mark.parametrize(("ask", "asked"), ASKED.values(), ids=ASKED)
async def test_what_is_asked_too_early_waits_and_is_then_handed_on(ask, asked):
    late, calls = LateCalls(), FakeCalls()
    task = await waiting(ask, late)
    late.begin(calls)
    await task
    assert calls.asked == [asked]


async def test_what_is_asked_later_is_handed_on_at_once_and_the_answer_comes_back():
    late = LateCalls()
    late.begin(FakeCalls())
    assert await late.offer(OFFER) == "an answer"


@pytest.mark.parametrize(("ask", "asked"), ASKED.values(), ids=ASKED)
async def test_who_waits_for_a_server_that_does_not_come_up_is_refused_and_who_comes_then_too(ask, asked):
    late = LateCalls()
    task = await waiting(ask, late)
    late.close()
    with pytest.raises(ServerClosing):
        await task
    with pytest.raises(ServerClosing):
        await ask(late)


async def test_one_who_gives_up_takes_nothing_from_the_others():
    late, calls = LateCalls(), FakeCalls()
    one, other = await waiting(LateCalls.stats, late), await waiting(LateCalls.metrics, late)
    one.cancel()
    late.begin(calls)
    await other
    assert calls.asked == [("metrics",)]
    assert one.cancelled()


def test_a_broken_edit_is_told_once_there_are_calls_and_one_that_works_is_not():
    late, calls = LateCalls(), FakeCalls()
    assert late.error is None
    late.begin(calls)
    assert late.error is None
    calls.broken = Broken()
    assert late.error == "it does not load"
    calls.broken.traceback = "line 2"
    assert late.error == "line 2"
