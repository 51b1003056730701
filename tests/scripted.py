"""An HTTP server that says what a test wrote, bytes for bytes, and a certificate for it."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Script:
    """Sends prepared bytes, one reply per request; None closes the connection instead. `requests` has what came."""

    def __init__(self, *replies: bytes | None, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.replies = list(replies)
        self.requests: list[tuple[bytes, bytes]] = []

    async def __aenter__(self) -> Self:
        self.connections: dict[Any, asyncio.StreamWriter] = {}
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._server.close()
        for writer in self.connections.values():
            writer.close()
        await asyncio.gather(*self.connections)

    @property
    def asked(self) -> list[str]:
        """Method and path of each request."""
        return [head.split(b" HTTP", 1)[0].decode() for head, _ in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections[asyncio.current_task()] = writer
        try:
            await self._converse(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.replies:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.requests.append((head, await reader.readexactly(length)))
            reply = self.replies.pop(0)
            if reply is None:
                break
            writer.write(reply)
            await writer.drain()
            if b"connection: close" in reply.lower():
                break


def reply(status: str, body: str | bytes, content_type: str = "application/json", more: str = "") -> bytes:
    """A whole response; `status` as in `200 OK`, `more` are further header lines."""
    data = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    return head.encode() + data


def certified(
    folder: Path, name: str = "localhost", years: tuple[int, int] = (2020, 2120)
) -> tuple[ssl.SSLContext, Path]:
    """A server's context with a self-made certificate for the name, and its file, for who wants to trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start, end = (datetime(year, 1, 1, tzinfo=UTC) for year in years)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, end)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    file = folder / "own.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context, file
