"""ICE servers in every form that Pipecat's runner takes, and never a credential in an error."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.errors import UsageError
from smallrtc_cli.protocol.ice_servers import IceServerSpec, ice_server, parse_ice_servers

TURN = IceServerSpec(("turn:t.example:3478?transport=udp",), "me", "s3cret")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ()),
        ([], ()),
        (" , ", ()),
        ("stun:a.example", (IceServerSpec(("stun:a.example",)),)),
        (
            "stun:a.example, turn:[::1]:3478",
            (IceServerSpec(("stun:a.example",)), IceServerSpec(("turn:[::1]:3478",))),
        ),
        (
            '["stun:a.example", {"urls": ["stun:b.example:3478", "stuns:c.example"]}]',
            (IceServerSpec(("stun:a.example",)), IceServerSpec(("stun:b.example:3478", "stuns:c.example"))),
        ),
        (
            [
                "stun:a.example",
                '{"urls":"turn:t.example:3478?transport=udp","username":"me","credential":"s3cret"}',
            ],
            (IceServerSpec(("stun:a.example",)), TURN),
        ),
        ('{"urls":"stun:a.example","username":null}', (IceServerSpec(("stun:a.example",)),)),
    ],
)
def test_every_form_is_read(source, expected):
    assert parse_ice_servers(source) == expected


def test_urls_are_always_an_array():
    assert IceServerSpec(("stun:a.example",)).to_dict() == {"urls": ["stun:a.example"]}
    assert TURN.to_dict() == {"urls": list(TURN.urls), "username": "me", "credential": "s3cret"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("a.example:3478", "is not the URL"),
        ("stun://a.example", "is not the URL"),
        ("http://a.example", "is not the URL"),
        ("stun:", "is not the URL"),
        ("stun:a b", "is not the URL"),
        ("turn:a.example?transport=sctp", "is not the URL"),
        ("turn:me:s3cret@a.example", "credentials in its URL"),
        ('{"credential":"s3cret"', "cannot be read"),
        ('{"credential":"s3cret"}', "no `urls`"),
        ('{"urls":null,"credential":"s3cret"}', "no `urls`"),
        ('{"urls":[],"credential":"s3cret"}', "no `urls`"),
        ('{"urls":[1]}', "no `urls`"),
        ('{"url":"stun:a.example","credential":"s3cret"}', "unknown key `url`"),
        ('{"urls":"stun:a.example","credential":["s3cret"]}', "`credential` of an ICE server is an array"),
        ("[7]", "is a number"),
        ("[[]]", "is an array"),
    ],
)
def test_a_bad_server_is_a_usage_error_without_the_credential(source, sentence):
    with pytest.raises(UsageError) as raised:
        parse_ice_servers(source)
    assert sentence in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert raised.value.hint


def test_a_credential_does_not_show_in_a_log():
    assert "s3cret" not in repr(TURN)


@given(st.text() | st.text().map("{{{}".format) | st.text().map("[{}]".format))
def test_no_text_raises_anything_else(text):
    with suppress(UsageError):
        parse_ice_servers(text)


@given(st.dictionaries(st.sampled_from(["urls", "username", "credential"]), st.none() | st.text() | st.integers()))
def test_no_entry_raises_anything_else(entry):
    with suppress(UsageError):
        ice_server(entry)
