"""One certificate for all connections of a process, for a day; also canaries for the names of aiortc it stands on."""

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from peer_connections import call, peer_connection

from smallrtc_cli.rtc import aiortc_internals as internals
from smallrtc_cli.rtc.aiortc_identity import OF_THIS_PROCESS, Identities, Identity

DAY = 24 * 3600


def test_the_certificate_stays_for_a_day_and_then_there_is_another():
    identities = Identities()
    first = identities.at(10.0)
    assert identities.at(10.0 + DAY - 1) is first
    second = identities.at(10.0 + DAY)
    assert second is not first
    assert second.getFingerprints() != first.getFingerprints()
    assert identities.at(10.0 + 2 * DAY - 1) is second


def test_fingerprints_are_those_of_aiortc_and_whoever_gets_them_may_change_the_list():
    identity = Identity.generateCertificate()
    found = identity.getFingerprints()
    assert [each.algorithm for each in found] == ["sha-256", "sha-384", "sha-512"]
    found.clear()
    assert len(identity.getFingerprints()) == 3


def test_aiortc_still_makes_its_tls_context_in_create_ssl_context_and_that_is_made_once():
    identity = Identity.generateCertificate()
    assert identity._create_ssl_context(SRTP_PROFILES) is identity._create_ssl_context(SRTP_PROFILES)


@pytest.mark.usefixtures("loopback_only")
async def test_what_was_prepared_is_what_connections_use(monkeypatch):
    monkeypatch.setattr(OF_THIS_PROCESS, "_present", None)
    OF_THIS_PROCESS.prepare()
    identity = OF_THIS_PROCESS.generateCertificate()
    fingerprints, context = identity._fingerprints, identity._context
    assert len(fingerprints) == 3
    async with call() as pair:
        assert {id(internals.dtls_transport(pc)._ssl.get_context()) for pc in pair} == {id(context)}
    assert identity._fingerprints is fingerprints


async def test_aiortc_still_takes_its_certificate_from_generate_certificate_when_a_connection_begins():
    one, other = peer_connection(), peer_connection()
    for pc in (one, other):
        assert pc._RTCPeerConnection__certificates == [OF_THIS_PROCESS.generateCertificate()]
        await pc.close()


@pytest.mark.usefixtures("loopback_only")
async def test_several_connections_at_once_have_one_context_and_keys_of_their_own():
    async with call() as first, call() as second:
        transports = [internals.dtls_transport(pc) for pc in (*first, *second)]
        assert {transport.state for transport in transports} == {"connected"}
        contexts = {id(transport._ssl.get_context()) for transport in transports}
        assert len(contexts) == 1
        keys = {bytes(transport._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 88)) for transport in transports}
        assert len(keys) == 2
