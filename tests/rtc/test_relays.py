import asyncio

import pytest
from calls import holdings, until
from ice_services import LOOPBACK, free_port

from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.rtc.refusals import Reason
from smallrtc_cli.rtc.relays import allocate
from smallrtc_cli.rtc.servers import TurnServer, servers

PATIENT = 20.0


def turn(server, kind="udp", password="p"):
    wanted = server.ice_server(kind, password)
    _, (found,) = servers([IceServerSpec((wanted.urls,), wanted.username, wanted.credential)])
    return found


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
async def test_a_relay_is_given_and_given_back(coturn, monkeypatch, kind):
    monkeypatch.setenv("SSL_CERT_FILE", str(coturn.certificate))
    before = holdings()
    found = await allocate(turn(coturn, kind), PATIENT)
    assert found.refusal is None
    assert (found.address, found.relay[0]) == (LOOPBACK, LOOPBACK)
    await until(lambda: holdings() == before)


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_a_wrong_password_is_401_and_nothing_stays(coturn, kind):
    before = holdings()
    found = await allocate(turn(coturn, kind, "wrong"), PATIENT)
    assert (found.relay, found.refusal.reason) == (None, Reason.UNAUTHORIZED)
    assert found.refusal.words.startswith("401")
    await until(lambda: holdings() == before)


async def test_a_certificate_that_nobody_vouches_for_is_refused(coturn):
    found = await allocate(turn(coturn, "tls"), PATIENT)
    assert found.refusal.reason is Reason.CERTIFICATE
    assert "self-signed" in found.refusal.words or "self signed" in found.refusal.words


async def test_a_port_that_speaks_no_tls_is_told_from_one_with_a_bad_certificate():
    async def shout(reader, writer):
        writer.write(b"220 smtp.invalid ESMTP ready\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(shout, LOOPBACK) as other:
        port = other.sockets[0].getsockname()[1]
        found = await allocate(TurnServer("turns:x", LOOPBACK, port, "tcp", True, "u", "p"), PATIENT)
    assert found.refusal.reason is Reason.TLS


@pytest.mark.parametrize(("transport", "secure"), [("udp", False), ("tcp", False), ("tcp", True)])
async def test_a_closed_port_is_refused_at_once(transport, secure):
    """At once: the bound is half of what a test may take."""
    server = TurnServer("turn:x", LOOPBACK, free_port(), transport, secure, "u", "p")
    assert (await allocate(server, 30.0)).refusal.reason is Reason.REFUSED


async def test_a_server_that_says_nothing_is_silent_after_the_bound(silent_service):
    before = holdings()
    found = await allocate(silent_service.turn_server, 0.3)
    assert found.refusal.reason is Reason.SILENT
    await until(lambda: holdings() == before)
