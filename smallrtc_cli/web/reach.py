"""Reaching a server step by step, TCP and then TLS, where a request would do both and say less."""

import asyncio
import ssl
from collections.abc import Sequence


async def first_to_connect(addresses: Sequence[str], port: int) -> str:
    """The first of the addresses that takes a TCP connection; raises the last `OSError` where none does."""
    attempts = [asyncio.ensure_future(_connected(address, port)) for address in addresses]
    failure = OSError("the host has no address")
    try:
        for attempt in asyncio.as_completed(attempts):
            try:
                return await attempt
            except OSError as error:
                failure = error
        raise failure
    finally:
        for unfinished in attempts:
            unfinished.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _connected(address: str, port: int) -> str:
    _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()
    return address


async def handshake(address: str, port: int, host: str, *, verify: bool) -> str:
    """The TLS version that a server at an address agrees to for a name; raises `OSError`, `ssl.SSLError` among them."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
    secured = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    return str(secured.version())
