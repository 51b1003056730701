"""`--header` and `--token`, as requests carry them."""

import pytest

from smallrtc_cli.commands.headers import headers
from smallrtc_cli.errors import UsageError


def test_a_token_is_a_bearer_and_the_option_wins_over_the_environment():
    lines = ["X-Key: a:b", "X-Empty:"]
    assert headers(lines, None, {}) == {"X-Key": "a:b", "X-Empty": ""}
    assert headers(lines, None, {"SMALLRTC_TOKEN": "s"})["Authorization"] == "Bearer s"
    assert headers([], "t", {"SMALLRTC_TOKEN": "s"}) == {"Authorization": "Bearer t"}


@pytest.mark.parametrize("line", ["secret", ": secret", ""])
def test_a_header_that_is_none_is_refused_and_not_shown(line):
    with pytest.raises(UsageError) as caught:
        headers([line], None, {})
    assert "secret" not in str(caught.value)
