"""The private names of aiortc's DTLS transport that the data channel's short way in touches.

    datagram ──take──> SCTP packet ──_handle_data──> message

In aiortc a datagram waits in a queue for a task, which asks OpenSSL after each whether it has something to send, and
catches the exception that says no. Here application data goes to SCTP in the callback of the socket. All else is
aiortc's: handshakes and their repetitions, alerts, the end. As in `aiortc_internals`, each name has a canary, in
`tests/rtc/test_aiortc_dtls.py`.
"""

from collections.abc import Coroutine
from typing import Any, cast

from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from OpenSSL import SSL

from smallrtc_cli.protocol.dtls import application_records


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what is a coroutine in name only: aiortc's SCTP waits for nothing when it handles packets and sends them.

    Raises `RuntimeError` where it does, which would be new.
    """
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError(f"{work!r} waits for something")


def take(dtls: RTCDtlsTransport, datagram: bytes) -> bool:
    """Whether a datagram was application data; SCTP has it then. What is forged, damaged or repeated is passed over.

    Each record is read: OpenSSL keeps what is not, and all that follows would come one datagram late.
    """
    records = application_records(datagram)
    if not records or dtls._state is not State.CONNECTED or dtls._data_receiver is None:
        return False
    inner, connection, receiver = cast(Any, dtls), cast(SSL.Connection, dtls._ssl), dtls._data_receiver
    inner._RTCDtlsTransport__rx_bytes += len(datagram)
    inner._RTCDtlsTransport__rx_packets += 1
    connection.bio_write(datagram)
    for _ in range(records):
        try:
            data = connection.recv(len(datagram))
        except SSL.Error:
            break
        at_once(receiver._handle_data(data))
    return True
