"""Whether browsers give a page the microphone: to a secure context only (W3C Secure Contexts, section 3.1)."""

from typing import Final

from yarl import URL

from smallrtc_cli.report.stages import Mark, Stage
from smallrtc_cli.web.urls import is_loopback, origin

NAME: Final = "browser"


def judge(url: URL | None) -> Stage:
    """What that means for the pages of this server; without one, for anybody's."""
    if url is None:
        detail = "browsers give the microphone to pages on https and on localhost, and to no others"
        return Stage(NAME, Mark.OK, f"{detail}: `smallrtc serve --https` makes them secure")
    shown = origin(url)
    if url.scheme == "https" or is_loopback(url):
        return Stage(NAME, Mark.OK, f"browsers give pages of `{shown}` the microphone")
    cure = "serve them on https (`smallrtc serve --https`), or open them as `localhost`"
    return Stage(NAME, Mark.WARN, f"browsers give pages of `{shown}` no microphone: not https, not localhost", cure)
