"""Every form of a server's URL, and where its requests go."""

import pytest
from yarl import URL

from smallrtc_cli.errors import UsageError
from smallrtc_cli.web.urls import Target, is_loopback, origin, parse_url, place, session_url, status_url


@pytest.mark.parametrize(
    ("text", "start", "offer"),
    [
        ("http://localhost:7860", "http://localhost:7860/start", "http://localhost:7860/api/offer"),
        (" http://localhost:7860/\n", "http://localhost:7860/start", "http://localhost:7860/api/offer"),
        ("localhost:7860", "http://localhost:7860/start", "http://localhost:7860/api/offer"),
        ("localhost", "http://localhost/start", "http://localhost/api/offer"),
        ("[::1]:7860", "http://[::1]:7860/start", "http://[::1]:7860/api/offer"),
        ("HTTPS://Bot.example", "https://bot.example/start", "https://bot.example/api/offer"),
        ("https://bot.example/v1/a%2Fb/", "https://bot.example/v1/a%2Fb/start", "https://bot.example/v1/a%2Fb/api/offer"),
        ("http://h:1/client/", "http://h:1/start", "http://h:1/api/offer"),
        ("http://h:1/?token=a%2Bb&x=1#top", "http://h:1/start?token=a%2Bb&x=1", "http://h:1/api/offer?token=a%2Bb&x=1"),
    ],
)  # fmt: skip
def test_a_base_is_begun_at_start_or_offered_to_directly(text, start, offer):
    assert parse_url(text) == Target(URL(offer), URL(start), offer_will_do=True)


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("https://bot.example/start", "https://bot.example/api/offer"),
        ("https://bot.example/v1/public/tutor/start/?a=b", "https://bot.example/v1/public/tutor/api/offer?a=b"),
    ],
)
def test_a_start_url_is_begun_there_and_nowhere_else(text, offer):
    assert parse_url(text) == Target(URL(offer), URL(text), offer_will_do=False)


@pytest.mark.parametrize(
    ("text", "offer", "session_id"),
    [
        ("http://h:1/api/offer", "http://h:1/api/offer", None),
        ("http://h:1/v1/api/offer/?session_id=7", "http://h:1/v1/api/offer?session_id=7", None),
        ("h:1/sessions/a%2Fb/api/offer", "http://h:1/sessions/a%2Fb/api/offer", "a/b"),
        ("http://h:1/v1/sessions/7", "http://h:1/v1/sessions/7/api/offer", "7"),
    ],
)
def test_an_offer_url_is_offered_to_directly(text, offer, session_id):
    target = parse_url(text)
    assert target == Target(URL(offer), session_id=session_id)
    assert target.offer.raw_path == URL(offer).raw_path


@pytest.mark.parametrize(
    "text",
    ["", "/api/offer", "ws://localhost:7860", "http://", "http://:80", "http://[::1", "::1", "javascript:alert(1)",
     "localhost:x", "http://localhost:99999", "http://localhost:0", "http://a b", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_url_is_a_usage_error(text):
    with pytest.raises(UsageError, match="is not a") as raised:
        parse_url(text)
    assert "http://localhost:7860" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("http://h:1/start", "http://h:1/sessions/a%2F%3Fb/api/offer"),
        ("https://api.example/v1/public/tutor/start?a=b", "https://api.example/v1/public/tutor/sessions/a%2F%3Fb/api/offer?a=b"),
    ],
)  # fmt: skip
def test_a_sessions_offers_go_beside_start_whatever_its_id_is(start, expected):
    assert session_url(URL(start), "a/?b") == URL(expected)
    assert session_url(URL(start), "a/?b").raw_path == URL(expected).raw_path


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_this_machine_is_known_by_its_names(host):
    assert is_loopback(URL(f"http://{host}:7860"))


@pytest.mark.parametrize("host", ["bot.example", "localhost.example", "192.168.1.2", "[fe80::1]", "0.0.0.0"])
def test_other_hosts_are_not_this_machine(host):
    assert not is_loopback(URL(f"http://{host}:7860"))


def test_what_is_shown_of_a_url_holds_no_secret():
    url = URL("https://me:pass@[::1]:7860/sessions/7?token=s3cret")
    assert place(url) == "[::1]:7860"
    assert origin(url) == "https://[::1]:7860"
    assert origin(url, "http") == "http://[::1]:7860"
    assert origin(URL("https://bot.example/a")) == "https://bot.example"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h:7860", "http://h:7860/status"),
        ("https://h/bots/start?token=t", "https://h/bots/status?token=t"),
        ("https://h/bots/client/", "https://h/bots/status"),
        ("h/bots/api/offer", "http://h/bots/status"),
        ("h/bots/sessions/a%2Fb/api/offer", "http://h/bots/status"),
    ],
)
def test_what_a_server_tells_of_itself_is_beside_the_rest(text, expected):
    assert str(status_url(parse_url(text))) == expected
