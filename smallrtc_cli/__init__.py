"""The public names of smallrtc, loaded on use.

`import smallrtc_cli` costs next to nothing: each name brings its module, and with it aiortc, av and numpy,
when it is first asked for (PEP 562). `__version__` is the version that pyproject.toml gives to the
installed package.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallrtc_cli.audio.pcm import InputAudioRawFrame, OutputAudioRawFrame
    from smallrtc_cli.bots.arguments import SmallWebRTCRunnerArguments
    from smallrtc_cli.errors import SmallRTCError
    from smallrtc_cli.protocol.messages import (
        PeerLeftMessage,
        RenegotiateMessage,
        SignallingMessage,
        TrackStatusMessage,
    )
    from smallrtc_cli.protocol.signalling import (
        IceCandidate,
        SmallWebRTCPatchRequest,
        SmallWebRTCRequest,
    )
    from smallrtc_cli.rtc.connection import (
        AUDIO_TRANSCEIVER_INDEX,
        DATA_CHANNEL_TIMEOUT_SECS,
        MAX_MESSAGE_QUEUE_SIZE,
        SCREEN_VIDEO_TRANSCEIVER_INDEX,
        SIGNALLING_TYPE,
        VIDEO_TRANSCEIVER_INDEX,
        IceServer,
        SmallWebRTCConnection,
    )
    from smallrtc_cli.rtc.dialer import Dialer
    from smallrtc_cli.rtc.request_handler import ConnectionMode, SmallWebRTCRequestHandler
    from smallrtc_cli.rtc.tracks import SmallWebRTCTrack
    from smallrtc_cli.rtc.transport import SmallWebRTCTransport, TransportParams

    __version__: str

__all__ = [
    "AUDIO_TRANSCEIVER_INDEX",
    "DATA_CHANNEL_TIMEOUT_SECS",
    "MAX_MESSAGE_QUEUE_SIZE",
    "SCREEN_VIDEO_TRANSCEIVER_INDEX",
    "SIGNALLING_TYPE",
    "VIDEO_TRANSCEIVER_INDEX",
    "ConnectionMode",
    "Dialer",
    "IceCandidate",
    "IceServer",
    "InputAudioRawFrame",
    "OutputAudioRawFrame",
    "PeerLeftMessage",
    "RenegotiateMessage",
    "SignallingMessage",
    "SmallRTCError",
    "SmallWebRTCConnection",
    "SmallWebRTCPatchRequest",
    "SmallWebRTCRequest",
    "SmallWebRTCRequestHandler",
    "SmallWebRTCRunnerArguments",
    "SmallWebRTCTrack",
    "SmallWebRTCTransport",
    "TrackStatusMessage",
    "TransportParams",
    "__version__",
]

_HOMES = {
    "audio.pcm": ("InputAudioRawFrame", "OutputAudioRawFrame"),
    "bots.arguments": ("SmallWebRTCRunnerArguments",),
    "errors": ("SmallRTCError",),
    "protocol.messages": (
        "PeerLeftMessage",
        "RenegotiateMessage",
        "SignallingMessage",
        "TrackStatusMessage",
    ),
    "protocol.signalling": ("IceCandidate", "SmallWebRTCPatchRequest", "SmallWebRTCRequest"),
    "rtc.connection": (
        "AUDIO_TRANSCEIVER_INDEX",
        "DATA_CHANNEL_TIMEOUT_SECS",
        "MAX_MESSAGE_QUEUE_SIZE",
        "SCREEN_VIDEO_TRANSCEIVER_INDEX",
        "SIGNALLING_TYPE",
        "VIDEO_TRANSCEIVER_INDEX",
        "IceServer",
        "SmallWebRTCConnection",
    ),
    "rtc.dialer": ("Dialer",),
    "rtc.request_handler": ("ConnectionMode", "SmallWebRTCRequestHandler"),
    "rtc.tracks": ("SmallWebRTCTrack",),
    "rtc.transport": ("SmallWebRTCTransport", "TransportParams"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("smallrtc-cli")
    except PackageNotFoundError:
        return "0+unknown"  # a source tree on PYTHONPATH, never installed


def __getattr__(name: str) -> object:
    if name == "__version__":
        loaded: object = _version()
    elif name in _HOME:
        loaded = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = loaded
    return loaded


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
