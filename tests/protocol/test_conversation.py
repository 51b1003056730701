"""The lines of a conversation, from RTVI messages as bots send them."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.protocol.conversation import Conversation, event_words


class Lines(dict):
    """The last form of each line, by its id."""

    def __call__(self, line):
        self[line.id] = copy.copy(line)

    def said(self):
        return [(line.who, line.text) for line in self.values()]


def rtvi(kind, **data):
    return {"label": "rtvi-ai", "type": kind, "data": data}


def told(*messages):
    lines = Lines()
    conversation = Conversation(lines)
    for message in messages:
        conversation.received(message)
    return lines


def test_the_same_words_told_four_times_are_one_line():
    lines = told(
        {"label": "rtvi-ai", "type": "bot-llm-started"},
        rtvi("bot-llm-text", text="Four "),
        rtvi("bot-llm-text", text="degrees."),
        rtvi("bot-tts-text", text="Four degrees."),
        rtvi("bot-output", text="Four degrees.", segment_id="a", will_be_spoken=True),
        rtvi("bot-transcription", text="Four degrees."),
        {"label": "rtvi-ai", "type": "bot-stopped-speaking"},
    )
    assert [text for who, text in lines.said() if who == "bot"] == ["Four degrees."]


def test_tokens_alone_become_the_text():
    lines = told(rtvi("bot-llm-text", text="It "), rtvi("bot-llm-text", text="is"))
    assert lines.said() == [("bot", "It is")]


def test_what_is_heard_replaces_what_was_only_guessed():
    lines = told(
        rtvi("user-transcription", text="what is", final=False),
        rtvi("user-transcription", text="what is the", final=False),
    )
    assert [(line.text, line.rest, line.final) for line in lines.values()] == [("", "what is the", False)]
    lines = told(
        rtvi("user-transcription", text="what is the", final=False),
        rtvi("user-transcription", text="What is the weather?", final=True),
        rtvi("user-transcription", text="In Oslo.", final=True),
    )
    assert lines.said() == [("you", "What is the weather? In Oslo.")]


def test_an_answer_is_a_line_of_its_own_and_its_progress_is_shown():
    lines = told(
        rtvi("user-transcription", text="Hello.", final=True),
        rtvi("bot-output", segment_id=1, text="Hi there.", will_be_spoken=True,
             spoken_progress={"accumulated_text": "Hi", "remaining_text": "there."}),
    )  # fmt: skip
    assert lines.said() == [("you", "Hello."), ("bot", "Hi")]
    assert list(lines.values())[-1].rest == "there."


def test_text_of_the_first_generation_that_is_not_spoken_is_left_out():
    assert told(rtvi("bot-output", text="hidden", spoken=False)).said() == []


def test_other_messages_are_shown_whole_and_noise_is_not():
    lines = told(
        {"type": "weather", "degrees": 4}, rtvi("bot-audio-level", value=0.2), rtvi("bot-tts-audio", audio="A")
    )
    assert lines.said() == [("message", '{"type": "weather", "degrees": 4}')]


def test_what_is_typed_is_said_by_me():
    lines = Lines()
    Conversation(lines).sent(rtvi("send-text", content="good morning"))
    assert lines.said() == [("you", "good morning")]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("bot-ready", {"version": "2", "about": {"library": "x", "library_version": "1"}}, "bot-ready · x 1 RTVI 2"),
        ("error", {"error": "no voice", "fatal": True}, "error · no voice"),
        ("metrics", {"ttfb": [{"processor": "LLM#0", "value": 0.41}]}, "metrics · ttfb LLM 0.41 s"),
        ("metrics", {"tokens": [{"prompt_tokens": 3, "completion_tokens": 5}]}, "metrics · tokens 3 in, 5 out"),
        ("metrics", {"ttfb": [{"processor": "LLM#0", "value": 0}]}, "metrics · nothing measured"),
        ("llm-function-call-started", {"function_name": "weather"}, "llm-function-call-started · weather"),
        ("user-started-speaking", None, "user-started-speaking"),
        ("server-message", [1, 2], "server-message · [1, 2]"),
    ],
)  # fmt: skip
def test_an_event_is_one_line(kind, data, words):
    assert event_words(kind, data) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KINDS = ["bot-output", "user-input", "user-transcription", "bot-llm-text", "bot-ready", "error", "metrics", "new"]
FIELDS = ["text", "final", "spoken", "spoken_progress", "segment_id", "input_type", "about", "ttfb", "tokens", "error"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), JSON | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))))
def test_nothing_that_a_server_sends_raises(messages):
    told(*({"label": "rtvi-ai", "type": kind, "data": data} for kind, data in messages))


@pytest.mark.parametrize("kind", ["bot-output", "bot-llm-text"])
def test_a_bot_that_never_ends_its_turn_is_told_in_lines_that_are_bounded_and_lose_nothing(kind):
    lines = told(*(rtvi(kind, text=f"sentence {number}. ") for number in range(2000)))
    assert len(lines) > 5
    assert all(len(line.text) < 5000 for line in lines.values())
    assert " ".join(line.text.strip() for line in lines.values()).split() == [
        word for number in range(2000) for word in ("sentence", f"{number}.")
    ]
