import pytest

from smallrtc_cli.protocol.dtls import application_records


def record(kind: int, body: bytes, version: bytes = b"\xfe\xfd") -> bytes:
    return bytes([kind]) + version + bytes(8) + len(body).to_bytes(2, "big") + body


def test_records_of_application_data_are_told_by_their_type_and_length():
    assert application_records(record(23, b"x")) == 1
    assert application_records(record(23, bytes(1500))) == 1
    assert application_records(record(23, b"x") + record(23, b"yz") * 2) == 3


@pytest.mark.parametrize("kind", [20, 21, 22, 24, 0x2F, 0x80])
def test_changes_of_cipher_alerts_handshakes_and_what_is_no_dtls_are_none(kind):
    assert not application_records(record(kind, b"x"))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x17",
        record(23, b"xyz")[:-1],
        record(23, b"xyz") + b"\0",
        record(23, b""),
        record(23, b"x") + record(21, b"\1\0"),
        record(23, b"x") * 2 + b"\x17",
        record(22, b"x") + record(23, b"x"),
    ],
)
def test_what_is_cut_off_or_empty_or_has_anything_beside_is_none(datagram):
    assert not application_records(datagram)
