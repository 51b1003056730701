"""Certificates: made, kept, renewed, and the user's own."""

import datetime as dt
import os
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smallrtc_cli.errors import CannotRun, UsageError
from smallrtc_cli.web import tls
from smallrtc_cli.web.tls import FILE, Subjects, context_from, data_folder, own_context

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HERE = Subjects.of(["mylaptop", "mylaptop.local"], ["192.168.1.20", "fe80::1%eth0", "2001:db8::1"])


def kept(folder):
    return x509.load_pem_x509_certificate((folder / FILE).read_bytes())


def days(number):
    return NOW + dt.timedelta(days=number)


def test_it_is_for_every_name_and_address(tmp_path):
    own_context(tmp_path, HERE, NOW)
    certificate = kept(tmp_path)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "mylaptop", "mylaptop.local"}
    assert {str(each) for each in names.get_values_for_type(x509.IPAddress)} == {
        "127.0.0.1", "::1", "192.168.1.20", "fe80::1", "2001:db8::1",
    }  # fmt: skip
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert certificate.not_valid_before_utc < NOW < days(364) < certificate.not_valid_after_utc


def test_it_is_kept_for_the_user_alone(tmp_path):
    folder = tmp_path / "data" / "smallrtc"
    own_context(folder, HERE, NOW)
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_rights_that_became_wider_are_taken_back(tmp_path):
    own_context(tmp_path, HERE, NOW)
    (tmp_path / FILE).chmod(0o644)
    own_context(tmp_path, HERE, NOW)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("subjects", "now"),
    [
        (HERE, NOW),
        (HERE, days(340)),
        (Subjects.of(["mylaptop"], []), NOW),
        (Subjects.of(["mylaptop"], ["192.168.1.20", "2a00:1450:4001::99"]), NOW),
    ],
)
def test_the_same_one_is_used_while_it_will_do(tmp_path, subjects, now):
    own_context(tmp_path, HERE, NOW)
    first = kept(tmp_path)
    own_context(tmp_path, subjects, now)
    assert kept(tmp_path) == first


@pytest.mark.parametrize(
    ("subjects", "now"),
    [
        (HERE, days(352)),
        (HERE, days(-30)),
        (Subjects.of(["mylaptop", "other"], []), NOW),
        (Subjects.of([], ["192.168.1.21"]), NOW),
        (Subjects.of([], ["fd00::7"]), NOW),
    ],
)
def test_a_new_one_is_made_when_it_runs_out_or_lacks_something(tmp_path, subjects, now):
    own_context(tmp_path, HERE, NOW)
    first = kept(tmp_path)
    own_context(tmp_path, subjects, now)
    assert kept(tmp_path) != first


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_broken_file_is_replaced(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    own_context(tmp_path, HERE, NOW)
    assert kept(tmp_path)


def test_a_key_of_another_certificate_is_replaced(tmp_path):
    one, other = tls.made_certificate(HERE, NOW), tls.made_certificate(HERE, NOW)
    cut = one.index(b"-----BEGIN CERTIFICATE")
    (tmp_path / FILE).write_bytes(other[: other.index(b"-----BEGIN CERTIFICATE")] + one[cut:])
    own_context(tmp_path, HERE, NOW)


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotRun, match="the certificate cannot be kept in") as raised:
        own_context(tmp_path / "file" / "smallrtc", HERE, NOW)
    assert "XDG_DATA_HOME" in raised.value.hint


def test_the_folder_is_where_xdg_says():
    assert data_folder({"XDG_DATA_HOME": "/somewhere"}) == Path("/somewhere/smallrtc")
    home = Path.home() / ".local" / "share" / "smallrtc"
    assert data_folder({}) == data_folder({"XDG_DATA_HOME": "relative"}) == home


def test_a_client_that_trusts_it_accepts_every_name_and_address(tmp_path):
    server = own_context(tmp_path, HERE)
    client = ssl.create_default_context(cafile=tmp_path / FILE)
    for name in ("localhost", "mylaptop.local", "192.168.1.20", "127.0.0.1", "::1"):
        assert shaken_hands(server, client, name) in {"TLSv1.2", "TLSv1.3"}
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(server, client, "evil.example")


def shaken_hands(server, client, name):
    """A handshake in memory; the version that came of it."""
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    here = client.wrap_bio(pipes[0], pipes[1], server_hostname=name)
    there = server.wrap_bio(pipes[1], pipes[0], server_side=True)
    for side in (here, there, here, there):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return here.version()


@pytest.fixture
def pem(tmp_path):
    """A certificate and its key in one file, and each in its own."""
    whole = tls.made_certificate(HERE, dt.datetime.now(dt.UTC))
    cut = whole.index(b"-----BEGIN CERTIFICATE")
    parts = {"both.pem": whole, "key.pem": whole[:cut], "cert.pem": whole[cut:]}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_users_own_certificate_is_taken(pem):
    assert context_from(pem / "cert.pem", pem / "key.pem").minimum_version is ssl.TLSVersion.TLSv1_2
    context_from(pem / "both.pem")


def test_a_file_that_is_not_there_is_named_with_its_option(pem):
    with pytest.raises(UsageError, match=r"none.pem` cannot be read: no such file") as raised:
        context_from(pem / "none.pem", pem / "key.pem")
    assert "--ssl-certfile" in raised.value.hint
    with pytest.raises(UsageError, match="cannot be read") as raised:
        context_from(pem / "cert.pem", pem)
    assert "--ssl-keyfile" in raised.value.hint


def test_a_key_of_another_certificate_is_said_so(pem):
    (pem / "other.pem").write_bytes(tls.made_certificate(HERE, NOW))
    with pytest.raises(UsageError, match="the private key is not that of the certificate"):
        context_from(pem / "cert.pem", pem / "other.pem")


@pytest.mark.parametrize("content", [b"", b"junk\n"])
def test_what_is_no_pem_is_said_so(pem, content):
    (pem / "bad.pem").write_bytes(content)
    for certfile, keyfile in (("bad.pem", "key.pem"), ("cert.pem", "bad.pem"), ("cert.pem", None), ("key.pem", None)):
        with pytest.raises(UsageError, match="cannot be used for HTTPS: it ") as raised:
            context_from(pem / certfile, keyfile and pem / keyfile)
        assert "PEM" in raised.value.hint


def test_an_encrypted_key_does_not_ask_at_the_terminal(pem):
    command = ["openssl", "pkcs8", "-topk8", "-in", pem / "key.pem", "-out", pem / "locked.pem", "-passout", "pass:x"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    with pytest.raises(UsageError, match="the private key is encrypted"):
        context_from(pem / "cert.pem", pem / "locked.pem")
