"""Servers for tests of ICE: STUN in this process, one that says nothing, and coturn in a process beside it."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smallrtc_cli.rtc.connection import IceServer
from smallrtc_cli.rtc.servers import StunServer, TurnServer

LOOPBACK = "127.0.0.1"
MAPPED = ("203.0.113.7", 4242)
"An address that no test machine has (RFC 5737): a candidate with a host's own address is dropped."


class StunService(asyncio.DatagramProtocol):
    """Answers a binding request with `mapped`, or not at all where that is None."""

    def __init__(self, mapped: tuple[str, int] | None) -> None:
        self.mapped = mapped
        self.requests = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.requests += 1
        if self.mapped is None:
            return
        request = stun.parse_message(data)
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = self.mapped
        self.transport.sendto(bytes(answer), addr)

    @property
    def server(self) -> StunServer:
        return StunServer(f"stun:{LOOPBACK}:{self.port}", LOOPBACK, self.port)

    @property
    def turn_server(self) -> TurnServer:
        return TurnServer(f"turn:{LOOPBACK}:{self.port}", LOOPBACK, self.port, "udp", False, "u", "p")


@contextlib.asynccontextmanager
async def stun_service(mapped: tuple[str, int] | None) -> AsyncIterator[StunService]:
    """A STUN server on a free port of 127.0.0.1."""
    loop = asyncio.get_running_loop()
    _, service = await loop.create_datagram_endpoint(lambda: StunService(mapped), local_addr=(LOOPBACK, 0))
    try:
        yield service
    finally:
        service.transport.close()


@dataclass
class Coturn:
    """A TURN server of our own; the user is `u`, the password `p`."""

    process: subprocess.Popen[bytes]
    port: int
    tls_port: int
    certificate: Path
    log: Path
    address: str = LOOPBACK

    def ice_server(self, kind: str = "udp", password: str = "p") -> IceServer:
        port = self.tls_port if kind == "tls" else self.port
        scheme, transport = ("turns", "tcp") if kind == "tls" else ("turn", kind)
        url = f"{scheme}:{self.address}:{port}?transport={transport}"
        return IceServer(urls=url, username="u", credential=password)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


def free_port() -> int:
    """A port that is free for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((LOOPBACK, 0))
            port = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((LOOPBACK, port))
                return port


def needs_coturn() -> None:
    """Skip the test where it is not installed."""
    if shutil.which("turnserver") is None:
        pytest.skip("needs coturn (Debian's `coturn`)")


@contextlib.contextmanager
def coturn(
    folder: Path, certificate: tuple[Path, Path], address: str = LOOPBACK, runner: Sequence[str] = ()
) -> Iterator[Coturn]:
    """Run it until the end of the block; `runner` is a command that runs another, on a host that has `address`."""
    port, tls_port = free_port(), free_port()
    options = {
        "listening-ip": address,
        "relay-ip": address,
        "listening-port": port,
        "tls-listening-port": tls_port,
        "user": "u:p",
        "realm": "test",
        "cert": certificate[0],
        "pkey": certificate[1],
        "pidfile": folder / "pid",
        "userdb": folder / "users",
        "log-file": "stdout",
        "relay-threads": 1,
    }
    flags = ["n", "lt-cred-mech", "fingerprint", "no-cli", "allow-loopback-peers", "no-multicast-peers", "simple-log"]
    command = [*runner, "turnserver", *(f"-{f}" if len(f) == 1 else f"--{f}" for f in flags)]
    command += [f"--{name}={value}" for name, value in options.items()]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    server = Coturn(process, port, tls_port, certificate[0], log, address)
    try:
        _wait_listening(server)
        yield server
    finally:
        server.stop()


def _wait_listening(server: Coturn) -> None:
    deadline = time.monotonic() + 20
    for port in (server.port, server.tls_port):
        while True:
            if _listens(server.process.pid, port):
                break
            ended = server.process.poll() is not None
            assert not ended, f"coturn ended: {server.log.read_text()}"
            assert time.monotonic() < deadline, f"coturn does not listen: {server.log.read_text()}"
            time.sleep(0.02)


def _listens(pid: int, port: int) -> bool:
    """Whether somebody listens to a TCP port where a process is, which may have a network of its own."""
    with contextlib.suppress(OSError):
        sockets = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in sockets)
    return False


def self_made_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-made certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    key_pem.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return pem, key_pem
