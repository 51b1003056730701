"""aiortc's receiver without what nobody has asked for yet: its estimate of the sender's bit rate is 1,000 objects.

A browser's call has two receivers of pictures, also where no picture comes. To make the estimators took a quarter of
the time of its answer, for the garbage collector looks through them, too. The canaries are in
`tests/rtc/test_aiortc_receiver.py`.
"""

from types import FunctionType
from typing import Any, Final, cast

from aiortc import RTCRtpReceiver, rtcrtpreceiver
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcdtlstransport import RTCDtlsTransport

from smallrtc_cli.rtc.aiortc_internals import rebound


class LateEstimator:
    """Stands for aiortc's estimator, which the first packet makes."""

    def __init__(self) -> None:
        self.made: RemoteBitrateEstimator | None = None

    def add(self, **packet: Any) -> tuple[int, list[int]] | None:
        """As aiortc's: the bit rate to tell the sender of those sources, when it is time."""
        if self.made is None:
            self.made = RemoteBitrateEstimator()
        return self.made.add(**packet)


_INITIALIZE: Final = rebound(
    cast(FunctionType, RTCRtpReceiver.__init__), vars(rtcrtpreceiver) | {"RemoteBitrateEstimator": LateEstimator}
)


class Receiver(RTCRtpReceiver):
    """What our peer connections make for each m-line."""

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        _INITIALIZE(self, kind, transport)
