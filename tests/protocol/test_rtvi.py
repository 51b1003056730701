"""What RTVI answers by itself, and what it leaves to the bot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smallrtc_cli
from smallrtc_cli.protocol import rtvi
from smallrtc_cli.protocol.messages import encode_app

CAPABILITIES = {"audio_in": True, "audio_out": True, "metrics": False}

ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(
    st.text(), st.text() | st.integers()
)  # fmt: skip


def client(kind, **fields):
    return {"label": "rtvi-ai", "type": kind, "id": "a1", **fields}


def test_client_ready_is_answered_with_its_own_id():
    ready = rtvi.answer(rtvi.client_ready("a1b2c3d4"), CAPABILITIES)
    assert ready == {
        "label": "rtvi-ai",
        "type": "bot-ready",
        "id": "a1b2c3d4",
        "data": {
            "version": "2.2.0",
            "about": {"library": "smallrtc", "library_version": smallrtc_cli.__version__},
            "capabilities": CAPABILITIES,
        },
    }


@pytest.mark.parametrize("fields", [{}, {"data": None}, {"data": []}, {"data": {"version": 2}}, {"data": "x"}])
def test_a_device_that_says_nothing_about_itself_is_welcome(fields):
    ready = rtvi.answer(client("client-ready", **fields), CAPABILITIES)
    assert (ready["type"], ready["data"]["version"]) == ("bot-ready", "2.2.0")


def test_a_client_of_the_first_generation_gets_its_own_version_back():
    ready = rtvi.answer(client("client-ready", data={"version": "1.4.0"}), {})
    assert ready["data"]["version"] == "1.4.0"


@pytest.mark.parametrize("message_id", [None, 7, ["x"], {"a": 1}])
def test_an_id_that_is_no_text_is_not_echoed(message_id):
    assert "id" not in rtvi.answer(client("client-ready") | {"id": message_id}, {})


def test_an_unknown_type_is_refused_under_its_id():
    refusal = rtvi.answer(client("make-coffee"), {})
    assert refusal == rtvi.error_response("a1", "Unsupported type make-coffee")
    assert refusal["type"] == "error-response"


@pytest.mark.parametrize("kind", [None, 7, [], {}])
def test_a_message_without_a_type_is_refused(kind):
    assert rtvi.answer(client(kind), {}) == rtvi.error_response("a1", "The message has no type")


@pytest.mark.parametrize("kind", sorted(rtvi.CLIENT_TYPES - {"client-ready"}))
def test_known_types_are_the_bots(kind):
    assert rtvi.answer(client(kind), CAPABILITIES) is None


@pytest.mark.parametrize("message", [{}, {"type": "x"}, {"label": "other", "type": "client-ready"}, {"label": 1}])
def test_what_is_not_rtvi_is_left_alone(message):
    assert not rtvi.is_rtvi(message)
    assert rtvi.answer(message, CAPABILITIES) is None


def test_two_bots_that_face_each_other_fall_silent():
    message, said = client("nonsense"), 0
    while message is not None:
        message = rtvi.answer(message, CAPABILITIES)
        said += 1
        assert said < 5


@given(st.dictionaries(st.sampled_from(["label", "type", "id", "data"]), ANYTHING))
def test_no_message_raises_and_every_answer_can_be_sent(message):
    reply = rtvi.answer(message | {"label": "rtvi-ai"}, CAPABILITIES)
    if reply is not None:
        encode_app(reply)


def test_the_bots_messages_are_as_documented():
    assert rtvi.error("it broke", fatal=True)["data"] == {"error": "it broke", "fatal": True}
    assert rtvi.server_message({"n": 1}) == {"label": "rtvi-ai", "type": "server-message", "data": {"n": 1}}
    assert rtvi.server_response("q1", "weather", {"c": 20}) == {
        "label": "rtvi-ai", "type": "server-response", "id": "q1", "data": {"t": "weather", "d": {"c": 20}},
    }  # fmt: skip
    assert rtvi.server_response("q1", "weather")["data"] == {"t": "weather"}


def test_a_clients_message_is_answered_with_its_id_and_its_type():
    asked = rtvi.client_message("q1", "weather", [1])
    assert rtvi.response_to(asked, {"c": 20}) == rtvi.server_response("q1", "weather", {"c": 20})


@pytest.mark.parametrize("data", [None, "text", [], 3, {}, {"t": None}, {"t": {}}])
def test_an_answer_has_an_empty_type_where_the_client_gave_none(data):
    assert rtvi.response_to({"id": "q1", "data": data}) == rtvi.server_response("q1", "")
    assert rtvi.response_to({"id": "q1"}) == rtvi.server_response("q1", "")


@pytest.mark.parametrize("message_id", [{}, {"id": None}, {"id": 7}, {"id": ["q"]}])
def test_what_has_no_id_to_answer_to_gets_a_message(message_id):
    request = {"data": {"t": "weather"}} | message_id
    assert rtvi.response_to(request, 20) == rtvi.server_message({"t": "weather", "d": 20})


def test_the_clients_messages_are_as_documented():
    ready = rtvi.client_ready("c1", platform="test")
    assert ready["data"]["version"] == "2.2.0"
    assert ready["data"]["about"]["platform"] == "test"
    assert "platform" not in rtvi.client_ready("c1")["data"]["about"]
    assert rtvi.client_message("c2", "weather", [1])["data"] == {"t": "weather", "d": [1]}
    text = rtvi.send_text("c3", "hello", audio_response=False)
    assert text["data"] == {
        "content": "hello",
        "options": {"run_immediately": True, "audio_response": False},
    }
