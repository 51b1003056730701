"""What can go wrong: one tree.

`str(error)` is one sentence in lower case without a full stop, `hint` the cure, `exit_code` the contract with
scripts. An error that is the user's to mend is shown as these two lines; anything else is ours and keeps its
traceback.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends."""

    OK = 0
    FAILED = 1
    "A check failed, or something broke that should not have."
    USAGE = 2
    CANNOT_RUN = 3
    "No device, no server, no connection, a missing library."
    INCONCLUSIVE = 4
    INTERRUPTED = 130


class SmallRTCError(Exception):
    """The root: a sentence, a hint, an exit code."""

    hint: str | None = None
    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, sentence: str, *, hint: str | None = None) -> None:
        super().__init__(sentence)
        if hint is not None:
            self.hint = hint


class UsageError(SmallRTCError):
    """What was typed cannot be meant."""

    exit_code = ExitCode.USAGE


class CannotRun(SmallRTCError):
    """The machine, the network or the other side does not allow it."""

    exit_code = ExitCode.CANNOT_RUN


class UnreadableAudio(CannotRun):
    """A file has no sound that libav can read."""

    hint = "any file with sound that FFmpeg reads will do: WAV, MP3, Ogg Opus, MP4"


class UnreadableVideo(CannotRun):
    """A file has no pictures that libav can read."""

    hint = "any file with pictures that FFmpeg reads will do: MP4, WebM, PNG"


class UndecodablePacket(SmallRTCError):
    """A packet from the network has no sound that its codec can read."""


class AudioUnavailable(CannotRun):
    """There is no PortAudio, no device, or none that opens."""

    hint = "`--play-from FILE` and `--record-to FILE` work without devices"


class NoSuchDevice(AudioUnavailable):
    """No device, or more than one, matches the given name or index."""

    hint = "run `smallrtc devices` to see what is there"


class CouldNotConnect(CannotRun):
    """The peer connection did not come up: signalling, ICE, DTLS or data channel."""

    hint = "the server's own log may say why; `-v` shows more of this side"


class ServerUnreachable(CouldNotConnect):
    """Nothing answers at the URL."""

    hint = "is the server running, and is the URL right?"


class HostNotFound(ServerUnreachable):
    """The name of the host has no address."""

    hint = "is the name right, and is this machine online?"


class NoSecureConnection(ServerUnreachable):
    """TLS failed: the certificate is not one to trust, or there is no version in common."""

    hint = "does the server speak TLS 1.2 or newer?"


class WrongScheme(ServerUnreachable):
    """The server speaks https where the URL says http, or the reverse."""


class NoResponse(ServerUnreachable):
    """The server was given up: no connection, or no response over it, in time."""

    hint = "is the server busy, or does it wait for something else than HTTP?"


class UnusableAnswer(CouldNotConnect):
    """The server answers, but not as a SmallWebRTC server does."""

    hint = "is this the URL of a SmallWebRTC server?"


class OfferRefused(CouldNotConnect):
    """The server answered the offer, or `/start`, with an error status; `status` is the HTTP status code."""

    hint = "the server's own log may say more"

    def __init__(self, sentence: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(sentence, hint=hint)
        self.status = status


class ConnectionEnded(SmallRTCError):
    """The conversation is over; nothing more can be sent."""


class MessageTooLarge(SmallRTCError):
    """A message is longer than the remote side accepts (`a=max-message-size`, RFC 8841)."""

    hint = "split the message, or send a URL instead of the data"


class RequestError(SmallRTCError):
    """A signalling request that cannot be served; `status` is the HTTP status code to answer with."""

    status = 400


class BadRequest(RequestError):
    """Malformed: not what the protocol says."""

    status = 400


class UnknownPeer(RequestError):
    """No live peer connection has this `pc_id`."""

    status = 404


class PeerMismatch(RequestError):
    """Single-connection mode, and another client holds the connection."""

    status = 400


class ServerClosing(RequestError):
    """The server is shutting down and takes no new offers."""

    status = 503


class Unavailable(RequestError):
    """Right, but it cannot be served now: no candidate, no relay."""

    status = 503
