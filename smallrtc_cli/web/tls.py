"""HTTPS: browsers give the microphone to secure pages only (P36). A certificate of the user's, or one of our own.

Our own is self-made for every name and address of this machine, and kept for the user, so that a browser that was
told to trust it once need not be told again. It is renewed when it runs out, or lacks a name or an address.
"""

import contextlib
import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smallrtc_cli.errors import CannotRun, UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FILE: Final = "certificate.pem"
_VALID: Final = dt.timedelta(days=365)  # Apple's systems refuse more than 825
_RENEW_BEFORE: Final = dt.timedelta(days=14)
_MOST_NAMES: Final = 200  # a machine with thousands of containers would make a certificate that no browser reads


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a certificate is for."""

    names: frozenset[str]
    addresses: frozenset[Address]

    @classmethod
    def of(cls, names: Iterable[str], addresses: Iterable[str]) -> "Subjects":
        """Names as `places.local_names` gives them, and the addresses of all interfaces; loopback is always in."""
        parsed = [ipaddress.ip_address(each.partition("%")[0]) for each in (*addresses, "127.0.0.1", "::1")]
        printable = [name for name in names if name.isascii()]
        return cls(frozenset({"localhost", *printable}), frozenset(parsed[-_MOST_NAMES:]))

    @property
    def lasting(self) -> "Subjects":
        """Those that are worth a new certificate.

        Global IPv6 addresses change daily where privacy extensions are on (RFC 8981), and each renewal means another
        warning in the browser.
        """
        stays = frozenset(each for each in self.addresses if each.version == 4 or not each.is_global)
        return Subjects(self.names, stays)

    def __le__(self, other: "Subjects") -> bool:
        return self.names <= other.names and self.addresses <= other.addresses


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where the user's data is kept (XDG base directories)."""
    given = environment.get("XDG_DATA_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".local" / "share"
    return base / "smallrtc"


def own_context(folder: Path, subjects: Subjects, now: dt.datetime | None = None) -> ssl.SSLContext:
    """A context with the certificate of the folder, which is made or renewed if need be; raises `CannotRun`."""
    now = now or dt.datetime.now(dt.UTC)
    path = folder / FILE
    try:
        if not _is_current(path, subjects, now):
            _keep(path, made_certificate(subjects, now))
        path.chmod(0o600)
        return _loaded(path, None)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotRun(
            f"the certificate cannot be kept in `{folder}`: {reason}",
            hint="set `XDG_DATA_HOME` to a folder that is yours to write, or give `--ssl-certfile`",
        ) from error


def made_certificate(subjects: Subjects, now: dt.datetime) -> bytes:
    """A new key and a certificate that it signed itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smallrtc on this machine")])
    alternatives = [
        *(x509.DNSName(each) for each in sorted(subjects.names)),
        *(x509.IPAddress(each) for each in sorted(subjects.addresses, key=str)),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a telephone's clock may be late
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + certificate.public_bytes(serialization.Encoding.PEM)


def context_from(certfile: Path, keyfile: Path | None = None) -> ssl.SSLContext:
    """A context from `--ssl-certfile` and `--ssl-keyfile`, which may be one file; raises `UsageError`."""
    for path, option in ((certfile, "--ssl-certfile"), (keyfile, "--ssl-keyfile")):
        if path is not None:
            _require_readable(path, option)
    try:
        return _loaded(certfile, keyfile)
    except ssl.SSLError as error:
        raise UsageError(f"`{certfile}` cannot be used for HTTPS: {_words(error)}", hint=_PEM) from None


_PEM: Final = "`--ssl-certfile` takes a PEM file with the certificate and its chain, `--ssl-keyfile` its private key"


def _loaded(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certfile, keyfile, password=_refuse_password)
    return context


def _refuse_password() -> NoReturn:
    """OpenSSL would ask for it at the terminal, in the middle of a start."""
    raise UsageError("the private key is encrypted", hint="decrypt it with `openssl pkey -in key.pem -out plain.pem`")


def _require_readable(path: Path, option: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"`{path}` cannot be read: {reason}", hint=f"`{option}` takes a PEM file") from None


def _words(error: ssl.SSLError) -> str:
    match error.reason:
        case "KEY_VALUES_MISMATCH":
            return "the private key is not that of the certificate"
        case None:
            return "it is not a PEM file"
        case "NO_START_LINE" | "PEM_LIB" | "PEM lib":
            return "it lacks a certificate or a private key in PEM"
        case reason:
            return reason.lower().replace("_", " ")


def _is_current(path: Path, subjects: Subjects, now: dt.datetime) -> bool:
    """Whether the file holds a key and a certificate that will do; a broken file is one that will not."""
    try:
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, None)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    names = frozenset(extension.get_values_for_type(x509.DNSName))
    held = Subjects(names, frozenset(_only_addresses(extension.get_values_for_type(x509.IPAddress))))
    in_time = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _RENEW_BEFORE
    return in_time and subjects.lasting <= held and key.public_key() == certificate.public_key()


def _only_addresses(values: Iterable[object]) -> Iterable[Address]:
    return (each for each in values if isinstance(each, ipaddress.IPv4Address | ipaddress.IPv6Address))


def _keep(path: Path, pem: bytes) -> None:
    """Write it for the user's eyes only, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
