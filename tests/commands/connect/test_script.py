"""What a script says and waits for, without a call."""

import asyncio

import pytest

from smallrtc_cli.commands.connect.outcome import ALL_HEARD
from smallrtc_cli.commands.connect.script import Script
from smallrtc_cli.protocol import rtvi

READY = rtvi.bot_ready("1", {})


async def test_messages_are_sent_in_order_once_the_bot_listens():
    script, sent = Script([{"a": 1}, {"b": 2}]), []

    async def send(message):
        sent.append(message)

    saying = asyncio.ensure_future(script.say(send))
    await asyncio.sleep(0)
    assert sent == []
    script.heard(READY)
    await saying
    assert sent == [{"a": 1}, {"b": 2}]


async def test_what_is_expected_is_met_in_any_order():
    script = Script(expects=[{"a": 1}, {"b": 2}])
    waiting = asyncio.ensure_future(script.wait())
    assert script.heard({"b": 2, "c": 3}) == [{"b": 2}]
    assert script.heard({"x": 1}) == []
    assert script.heard({"a": 1}) == [{"a": 1}]
    assert await waiting is ALL_HEARD
    await script.all_heard()


async def test_what_was_not_heard_in_time_is_named():
    script = Script(expects=[{"a": 1}, {"b": 2}], timeout=0)
    ending = await script.wait()
    assert str(ending.error) == 'no message with `{"a": 1}` came within 0 s, and 1 more'


async def test_nothing_expected_is_nothing_to_wait_for():
    script = Script()
    assert not script.expects
    async with asyncio.timeout(10):
        await script.all_heard()


@pytest.mark.parametrize("message", [{"type": "bot-ready"}, {"label": "rtvi-ai", "type": "bot-stopped-speaking"}])
async def test_only_rtvis_bot_ready_says_that_it_listens(message):
    script, sent = Script([{"a": 1}]), []
    script.heard(message)
    saying = asyncio.ensure_future(script.say(lambda each: sent.append(each)))
    await asyncio.sleep(0)
    assert not saying.done()
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)
