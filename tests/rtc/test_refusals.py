import errno
import socket
import ssl

import pytest
from aioice import stun

from smallrtc_cli.rtc.refusals import Reason, Refusal, refusal


def said(code, words):
    response = stun.Message(stun.Method.ALLOCATE, stun.Class.ERROR)
    if code:
        response.attributes["ERROR-CODE"] = (code, words)
    return stun.TransactionFailed(response)


def untrusted():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def tls(reason):
    error = ssl.SSLError(1, "oops")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), Refusal(Reason.SILENT)),
        (stun.TransactionTimeout(), Refusal(Reason.SILENT)),
        (OSError(errno.ETIMEDOUT, "timed out"), Refusal(Reason.SILENT)),
        (said(401, "Unauthorized"), Refusal(Reason.UNAUTHORIZED, "401 Unauthorized")),
        (said(486, "Allocation Quota\x1b Reached"), Refusal(Reason.SAID_NO, "486 Allocation Quota? Reached")),
        (said(0, ""), Refusal(Reason.SAID_NO, "0")),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Refusal(Reason.NAME)),
        (UnicodeError("label too long"), Refusal(Reason.NAME)),
        (untrusted(), Refusal(Reason.CERTIFICATE, "certificate has expired")),
        (tls("WRONG_VERSION_NUMBER"), Refusal(Reason.TLS, "wrong version number")),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Refusal(Reason.REFUSED)),
        (
            OSError("Multiple exceptions: [Errno 99] Cannot assign, [Errno 111] Connect call failed"),
            Refusal(Reason.REFUSED),
        ),
        (OSError(errno.ENETUNREACH, "x"), Refusal(Reason.BROKEN, "network is unreachable")),
        (ConnectionError("the answer has no address in it"), Refusal(Reason.BROKEN, "the answer has no address in it")),
        (ValueError(), Refusal(Reason.BROKEN, "valueerror")),
    ],
)
def test_each_error_is_told_apart_by_what_can_be_done_about_it(error, expected):
    assert refusal(error) == expected
