"""What is told of a call, and to whom."""

import json

import pytest

from smallrtc_cli.commands.connect.log import CallLog
from smallrtc_cli.commands.connect.story import Story

READY = {"label": "rtvi-ai", "type": "bot-ready", "data": {"version": "2.2.0"}}
HEARD = {"label": "rtvi-ai", "type": "user-transcription", "data": {"text": "Hello.", "final": True}}
BEGUN = {"label": "rtvi-ai", "type": "bot-llm-started"}
GUESSED = {"label": "rtvi-ai", "type": "user-transcription", "data": {"text": "Hel", "final": False}}
ANSWER = {"label": "rtvi-ai", "type": "bot-transcription", "data": {"text": "Hi."}}


def told(*, as_json=False):
    written = []
    return Story(CallLog(written.append, as_json=as_json)), written


def without_time(lines):
    return [line.split("  ", 1)[1] for line in lines]


def test_people_see_events_and_what_was_said_once_each():
    story, written = told()
    story.event("connected", milliseconds=38.2, path="host to host, udp")
    for message in (READY, HEARD, ANSWER, BEGUN):
        story.received(message)
    story.sent({"a": 1})
    story.event("lost")
    story.event("redialing", reason="ice-timeout")
    story.received(ANSWER)
    story.end()
    assert without_time(written) == [
        "connected in 38 ms (host to host, udp)",
        "·        bot-ready · RTVI 2.2.0",
        "you      Hello.",
        "bot      Hi.",
        "·        bot-llm-started",
        'sent     {"a": 1}',
        "nothing is heard any more",
        "calling again: ice-timeout",
        "bot      Hi.",
    ]


def test_a_script_gets_every_event_as_an_object_and_messages_as_they_came():
    story, written = told(as_json=True)
    story.event("connected", milliseconds=38.2, path="")
    story.received(ANSWER)
    story.sent({"a": 1})
    story.event("first-audio", milliseconds=90.0)
    events = [json.loads(line) for line in written]
    assert [event["event"] for event in events] == ["connected", "message", "sent", "first-audio"]
    assert events[1]["message"] == ANSWER
    assert all(isinstance(event["at"], float) for event in events)


def test_a_view_shows_what_is_being_said_and_a_notice_until_all_is_well():
    story, written = told()
    story.received(GUESSED)
    assert [(line.who, line.rest) for line in story.lines] == [("you", "Hel")]
    story.event("lost")
    assert story.notice == "nothing is heard any more"
    story.event("muted", muted=True)
    assert story.notice == "nothing is heard any more"
    story.event("resumed")
    assert story.notice == ""
    story.received(HEARD)
    story.received(ANSWER)
    assert [(line.who, line.text) for line in story.lines] == [("bot", "Hi.")]
    assert without_time(written) == ["nothing is heard any more", "heard again", "you      Hello."]


def test_a_data_channel_that_stalls_is_told_until_it_flows_again():
    story, written = told()
    story.event("path", mtu=1500, chunk=1404)
    story.event("stalled", why="packets of 1277 bytes do not pass")
    assert story.notice == "messages do not get through: packets of 1277 bytes do not pass"
    story.event("flowing")
    assert story.notice == ""
    assert without_time(written)[1:] == ["messages get through again"]


def test_an_endless_call_keeps_nothing_that_was_written():
    story, written = told()
    for number in range(1000):
        story.received({"number": number})
    assert (len(written), story.lines) == (1000, ())


def test_what_cannot_be_written_is_told_to_the_call_and_raised_before_there_is_one():
    def broken(_):
        raise BrokenPipeError

    story = Story(CallLog(broken, as_json=False))
    with pytest.raises(BrokenPipeError):
        story.event("dialing", url="localhost")
    told_of = []
    story.on_unwritable = told_of.append
    story.event("lost")
    story.received({"a": 1})
    assert [type(error) for error in told_of] == [BrokenPipeError, BrokenPipeError]
