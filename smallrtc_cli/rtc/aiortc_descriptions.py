"""aiortc's way from objects to a session description and back, without what it does twice.

It writes each description of ours as text to read it at once again, and copies codecs with `deepcopy`: a quarter of
what it takes to answer a browser. Each name has a canary in `tests/rtc/test_aiortc_descriptions.py`.
"""

import dataclasses
from types import FunctionType, SimpleNamespace
from typing import Any, Final, cast

from aiortc import RTCPeerConnection, RTCRtpCodecParameters, RTCSessionDescription, rtcpeerconnection
from aiortc.sdp import SessionDescription

from smallrtc_cli.rtc.aiortc_internals import PeerConnection, rebound
from smallrtc_cli.rtc.aiortc_receiver import Receiver


class _Written(str):
    """A description's text that knows what it was written from."""

    __slots__ = ("source",)
    source: SessionDescription


def _write(description: SessionDescription) -> RTCSessionDescription:
    text = _Written(description)
    text.source = description
    return RTCSessionDescription(text, cast(str, description.type))


def _read(text: str) -> SessionDescription:
    return text.source if isinstance(text, _Written) else SessionDescription.parse(text)


def _copied(codec: RTCRtpCodecParameters) -> RTCRtpCodecParameters:
    return dataclasses.replace(codec, rtcpFeedback=[*codec.rtcpFeedback], parameters={**codec.parameters})


def _with(function: Any, **constants: Any) -> Any:
    return rebound(cast(FunctionType, function), vars(rtcpeerconnection) | constants)


_COMMON: Final = _with(rtcpeerconnection.find_common_codecs, copy=SimpleNamespace(deepcopy=_copied))
_READING: Final = SimpleNamespace(SessionDescription=SimpleNamespace(parse=_read))


class DescribedPeerConnection(PeerConnection):
    """Ours, which describes itself without detours, and whose receivers are ours, too."""

    createOffer = _with(RTCPeerConnection.createOffer, wrap_session_description=_write)  # noqa: N815
    createAnswer = _with(RTCPeerConnection.createAnswer, wrap_session_description=_write)  # noqa: N815
    setLocalDescription = _with(RTCPeerConnection.setLocalDescription, sdp=_READING)  # noqa: N815
    setRemoteDescription = _with(RTCPeerConnection.setRemoteDescription, find_common_codecs=_COMMON)  # noqa: N815
    _RTCPeerConnection__createTransceiver = _with(
        cast(Any, RTCPeerConnection)._RTCPeerConnection__createTransceiver, RTCRtpReceiver=Receiver
    )
