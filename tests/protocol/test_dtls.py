import pytest

from smallrtc_cli.protocol.dtls import is_application_data


def record(kind: int, body: bytes, version: bytes = b"\xfe\xfd") -> bytes:
    return bytes([kind]) + version + bytes(8) + len(body).to_bytes(2, "big") + body


def test_one_record_of_application_data_is_told_by_its_type_and_length():
    assert is_application_data(record(23, b"x"))
    assert is_application_data(record(23, bytes(1500)))


@pytest.mark.parametrize("kind", [20, 21, 22, 24, 0x2F, 0x80])
def test_changes_of_cipher_alerts_handshakes_and_what_is_no_dtls_are_none(kind):
    assert not is_application_data(record(kind, b"x"))


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x17",
        record(23, b"xyz")[:-1],
        record(23, b"xyz") + b"\0",
        record(23, b""),
        record(23, b"x") + record(21, b"\1\0"),
        record(23, b"x") * 2,
    ],
)
def test_what_is_cut_off_empty_or_several_records_is_none(datagram):
    assert not is_application_data(datagram)
