"""TCP and TLS by themselves: what comes of them, and whose error comes out."""

import asyncio
import ssl

import pytest
from ice_services import LOOPBACK, free_port
from scripted import Script, certified, reply

from smallrtc_cli.web.reach import first_to_connect, handshake

OK = reply("200 OK", "{}")
NOWHERE = "127.0.0.2"
"Nobody listens there; on others than Linux it is no address at all."


async def test_the_address_that_takes_a_connection_is_found_among_those_that_do_not():
    async with Script(OK) as script:
        assert await asyncio.wait_for(first_to_connect((NOWHERE, LOOPBACK), script.port), 20) == LOOPBACK


async def test_where_none_does_the_reason_comes_out():
    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(first_to_connect((LOOPBACK,), free_port()), 20)
    with pytest.raises(OSError, match="no address"):
        await first_to_connect((), 80)


async def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(tmp_path, monkeypatch):
    context, file = certified(tmp_path, name="bot.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    async with Script(OK, tls=context) as script:
        assert (await handshake(LOOPBACK, script.port, "bot.example", verify=True)).startswith("TLS")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
            await handshake(LOOPBACK, script.port, "other.example", verify=True)
        assert (await handshake(LOOPBACK, script.port, "other.example", verify=False)).startswith("TLS")
