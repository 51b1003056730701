"""aiortc's SCTP transport with a sender and a receiver of ours."""

from aiortc.rtcsctptransport import Chunk, DataChunk
from OpenSSL import SSL

from smallrtc_cli.protocol.packet_sizes import pad4
from smallrtc_cli.rtc.sctp_receiver import SctpReceiver
from smallrtc_cli.rtc.sctp_sender import SctpSender


class _Bundle(Chunk):
    """Several chunks of one packet, in the place of one."""

    def __init__(self, *chunks: Chunk) -> None:
        super().__init__()
        self._chunks = chunks

    def __bytes__(self) -> bytes:
        return b"".join(map(bytes, self._chunks))

    def __repr__(self) -> str:
        return repr(self._chunks)


class Sctp(SctpSender, SctpReceiver):
    """What `aiortc_internals.PeerConnection` runs its data channels over."""

    async def _send_chunk(self, chunk: Chunk) -> None:
        """User data takes along the acknowledgement that waits, where there is room (RFC 9260 section 6.10).

        Raises `ConnectionError` when DTLS is not up, also after its end, for which OpenSSL has an error of its own.
        """
        sack = self.acknowledgement(self.chunk - pad4(len(chunk.user_data))) if isinstance(chunk, DataChunk) else None
        try:
            await super()._send_chunk(chunk if sack is None else _Bundle(sack, chunk))
        except SSL.Error as error:
            raise ConnectionError("DTLS has ended") from error
