"""How a call ends: who ended it, and whether that was what the caller wanted."""

from dataclasses import dataclass
from typing import Any, Final

from smallrtc_cli.errors import CannotRun, CouldNotConnect, ExitCode, SmallRTCError
from smallrtc_cli.protocol.session import CloseReason

GONE: Final = frozenset({CloseReason.ICE_TIMEOUT, CloseReason.REDIAL_FAILED, CloseReason.DTLS_ERROR})
"The connection broke and did not come back."


class BotFailed(SmallRTCError):
    """The bot said that it cannot go on (RTVI `error`, fatal)."""

    hint = "the server's terminal has the bot's traceback"


class BotLeft(SmallRTCError):
    """The other side ended the call before what was waited for."""

    hint = "did the bot return? `smallrtc serve` says why in its terminal"


class ServerGone(CannotRun):
    """The call was up, and the server went away."""


class NoSound(SmallRTCError):
    """The call is up and nothing is heard."""

    hint = "does the bot speak first? if not, `--play-from FILE` says something to it"


class NotHeard(SmallRTCError):
    """No message contains what `--expect` waits for."""


class NoChannel(CouldNotConnect):
    """Connected, and yet no data channel."""

    hint = "audio may still work: a server that knows no data channels, or a path that drops large packets"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a call is over; `error` where it is not what was wanted."""

    reason: str
    "In words, for the summary: `you hung up`."

    error: SmallRTCError | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        if self.error is not None:
            return self.error.exit_code
        return ExitCode.INTERRUPTED if self.interrupted else ExitCode.OK


HUNG_UP: Final = Ending("you hung up")
PLAYED: Final = Ending("the file was played")
TIME_IS_UP: Final = Ending("the time was up")
ALL_HEARD: Final = Ending("all that was expected was heard")
STOPPED: Final = Ending("stopped by a signal")
INTERRUPTED: Final = Ending("you pressed Ctrl-C", interrupted=True)


def ended_by_the_other_side(
    reason: CloseReason, refusal: Exception | None, *, seconds: float, is_script: bool
) -> Ending:
    """What the end of the connection means, when we did not end it.

    `refusal` is what the last attempt to get back came to; `is_script` says that something was still waited for.
    """
    after = f"after {seconds:.1f} s"
    if reason in GONE:
        return Ending(
            "the server went away", ServerGone(f"the server went away {after}{_why(refusal)}", hint=_cure(refusal))
        )
    words = "the bot left" if reason is CloseReason.PEER_LEFT else "the server closed the connection"
    return Ending(words, BotLeft(f"{words} {after}") if is_script else None)


def _why(refusal: Exception | None) -> str:
    return ": nothing comes from it any more" if refusal is None else f", and dialing again failed: {refusal}"


def _cure(refusal: Exception | None) -> str:
    cure = getattr(refusal, "hint", None)
    return str(cure) if cure else "it crashed, was stopped, or the network is down"


def bot_failed(data: Any) -> Ending:
    """The bot's own words of why it cannot go on."""
    said = str(data.get("error", "")) if isinstance(data, dict) else ""
    return Ending("the bot failed", BotFailed(f"the bot failed: {said}" if said else "the bot failed without a word"))


def not_heard(unmet: tuple[Any, ...], shown: str, timeout: float) -> Ending:
    """`shown` is the first of them as JSON."""
    more = f", and {len(unmet) - 1} more" if len(unmet) > 1 else ""
    sentence = f"no message with `{shown}` came within {timeout:g} s{more}"
    return Ending("not all that was expected was heard", NotHeard(sentence, hint="`--json-lines` shows what came"))


def no_sound(within: float) -> Ending:
    return Ending("nothing was heard", NoSound(f"connected, and no sound from the bot within {within:g} s"))


def no_channel(within: float) -> Ending:
    return Ending("no data channel", NoChannel(f"connected, but the data channel did not open within {within:g} s"))
