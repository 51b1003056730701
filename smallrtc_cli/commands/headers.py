"""What goes along with each HTTP request, as it was typed."""

from collections.abc import Mapping, Sequence

from smallrtc_cli.errors import UsageError


def headers(lines: Sequence[str], token: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """`--header NAME: VALUE`, and the token as a bearer; SMALLRTC_TOKEN is one that `ps` does not show.

    Raises `UsageError`.
    """
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            # What was typed may be a credential: it is not shown.
            raise UsageError("a `--header` has no colon", hint="write it like `--header 'X-Key: secret'`")
        found[name.strip()] = value.strip()
    token = token or environment.get("SMALLRTC_TOKEN")
    return found | ({"Authorization": f"Bearer {token}"} if token else {})
