"""`smallrtc connect` and the network: over nothing but relays (coturn), on ports and interfaces that were named."""

import json
import signal
from collections.abc import Iterator

import pytest
from calls import until
from connecting import SILENT, call, sentence
from ice_services import Coturn, coturn, needs_coturn, self_made_certificate
from lying import lying, truth
from served import Command, running, served
from udp_ports import free_range

from smallrtc_cli.errors import ExitCode

BRIEF = (*SILENT, "--json-lines", "--stats", "0.5", "--duration", "1.5")


@pytest.fixture(scope="module")
def relay(tmp_path_factory) -> Iterator[Coturn]:
    needs_coturn()
    folder = tmp_path_factory.mktemp("coturn")
    with coturn(folder, self_made_certificate(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    with served(tmp_path_factory.mktemp("echo"), "echo") as server:
        yield server


def named(relay: Coturn, kind: str = "udp", password: str = "p") -> tuple[str, str]:
    server = relay.ice_server(kind, password)
    return "--ice-servers", json.dumps({"urls": server.urls, "username": server.username, "credential": password})


def pair(process: Command) -> tuple[str, str]:
    """What kinds of candidates the statistics name: ours, the server's."""
    report = process.named("statistics")[-1]["stats"]
    return report["local-candidate"]["candidateType"], report["remote-candidate"]["candidateType"]


@pytest.mark.parametrize("kind", ["udp", "tcp", "tls"])
async def test_a_call_over_nothing_but_a_relay(tmp_path, relay, echo, kind):
    trust = {"SSL_CERT_FILE": str(relay.certificate)}
    process = await call(tmp_path, await echo.url(), *BRIEF, "--ice-policy", "relay", *named(relay, kind), **trust)
    assert process.process.returncode == 0, process.errors
    assert process.named("connected")[0]["local"] == "relay"
    assert pair(process)[0] == "relay"


async def test_a_wrong_password_is_named_in_the_one_line(tmp_path, relay, echo):
    process = await call(
        tmp_path, await echo.url(), *SILENT, "--ice-policy", "relay", *named(relay, password="mistaken")
    )
    assert process.process.returncode == ExitCode.CANNOT_RUN
    error, hint = sentence(process)
    assert relay.ice_server().urls in error
    assert "401" in error
    assert "credential" in hint
    assert "mistaken" not in process.errors


async def test_the_servers_that_start_names_are_used(tmp_path, relay):
    with served(tmp_path, "echo", *named(relay)) as server:
        process = await call(tmp_path, await server.url(), *BRIEF, "--ice-policy", "relay")
    assert process.process.returncode == 0, process.errors
    assert pair(process)[0] == "relay"


async def test_ports_and_interface_are_of_the_users_choice(tmp_path, echo):
    ports = free_range(10)
    process = await call(
        tmp_path, await echo.url(), *BRIEF, "--udp-ports", f"{ports[0]}-{ports[-1]}", "--interface", "lo"
    )
    assert process.process.returncode == 0, process.errors
    here = process.named("statistics")[-1]["stats"]["local-candidate"]
    assert here["address"] in ("127.0.0.1", "::1")
    assert here["port"] in ports


async def test_an_interface_that_is_not_there_is_a_mistake(tmp_path, echo):
    process = await call(tmp_path, await echo.url(), *SILENT, "--interface", "lo9")
    assert process.process.returncode == ExitCode.USAGE
    assert "lo9" in sentence(process)[0]


async def test_candidates_follow_the_offer_or_are_waited_for(tmp_path, relay):
    async with lying(truth) as (url, liar):
        with running(tmp_path, "connect", url, *SILENT, *named(relay)) as process:
            await until(lambda: " typ relay" in str(liar.patches) or process.process.poll() is not None, 30)
            assert (await process.stopped(signal.SIGTERM))[0] == 0, process.errors
        assert " typ relay" not in liar.offers[0]["sdp"]
        liar.patches.clear()
        waiting = ("--wait-for-ice-gathering", "--ice-policy", "relay")
        process = await call(tmp_path, url, *BRIEF, *named(relay), *waiting)
        assert process.process.returncode == 0, process.errors
        assert " typ relay" in liar.offers[1]["sdp"]
        assert liar.patches == []
