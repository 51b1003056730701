"""Session descriptions on their way into an aiortc peer connection, and whose fault it is when one does not fit."""

import logging

from aiortc import RTCPeerConnection, RTCSessionDescription

from smallrtc_cli.errors import BadRequest, UnusableAnswer

logger = logging.getLogger(__name__)


async def take_offer(pc: RTCPeerConnection, sdp: str) -> None:
    """Apply a remote offer; raises `BadRequest`."""
    await _take(pc, sdp, "offer", BadRequest)


async def take_answer(pc: RTCPeerConnection, sdp: str) -> None:
    """Apply the answer to our offer; raises `UnusableAnswer`."""
    await _take(pc, sdp, "answer", UnusableAnswer)


async def _take(
    pc: RTCPeerConnection, sdp: str, kind: str, error_class: type[BadRequest] | type[UnusableAnswer]
) -> None:
    try:
        await pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
    except Exception as error:
        logger.debug("refused %s", kind, exc_info=True)
        raise error_class(f"the {kind} cannot be used: {error or type(error).__name__}") from error


async def make_answer(pc: RTCPeerConnection) -> None:
    """Answer the offer that was applied; raises `BadRequest`."""
    try:
        await pc.setLocalDescription(await pc.createAnswer())
    except Exception as error:
        raise BadRequest(f"the offer cannot be answered: {error or type(error).__name__}") from error
