"""`smallrtc doctor` from the outside: a process, its document and its exit code."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ice_services import LOOPBACK, free_port, stun_service
from served import running, served

import smallrtc_cli
from smallrtc_cli import cli
from smallrtc_cli.commands.doctor import run as doctor
from smallrtc_cli.commands.doctor.run import DoctorOptions
from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.errors import ExitCode

CALL = ["name", "tcp", "status", "offer", "ice", "dtls", "channel", "audio", "mtu"]
MACHINE = ["versions", "interfaces", "dns", "udp", "browser", "devices"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def echo(folder):
    with served(folder, "echo") as process:
        yield process


async def examined(folder, *arguments, **environment):
    """Its exit code and the stages of its one document, by their names."""
    with running(folder, "doctor", "--json", *arguments, **environment) as process:
        code = await process.ended(50)
        assert "Traceback" not in process.errors
        document = json.loads("".join(process.out))
    assert list(document) == ["version", "command", "verdict", "stages"]
    assert (document["version"], document["command"]) == (1, "doctor")
    for stage in document["stages"]:
        assert list(stage) == ["name", "verdict", "detail", "cure", "seconds"]
        assert stage["verdict"] in {"ok", "warn", "fail"}
        assert stage["cure"] or stage["verdict"] != "fail"
    stages = {stage["name"]: stage for stage in document["stages"]}
    assert len(stages) == len(document["stages"])
    assert (document["verdict"] == "fail") is (code != ExitCode.OK)
    return code, stages


async def test_a_call_to_our_own_server_is_well_at_every_stage(folder, echo):
    code, stages = await examined(folder, await echo.url(), "--interface", "lo")
    assert code == ExitCode.OK
    assert list(stages) == [*MACHINE, *CALL]
    assert {name: stages[name]["verdict"] for name in CALL} == dict.fromkeys(CALL, "ok")
    assert "`echo`" in stages["status"]["detail"]


async def test_for_people_it_is_one_line_a_stage_on_stdout(folder, echo):
    with running(folder, "doctor", await echo.url(), COLUMNS="40", NO_COLOR="1") as process:
        assert await process.ended(50) == ExitCode.OK
        lines = [line for line in process.out if not line.startswith("   ")]
        assert process.errors == ""
    assert len(lines) == len(MACHINE + CALL)
    assert all(line.startswith((" ok    ", " warn  ")) for line in lines)
    assert any("ICE connected: host" in line for line in lines)


async def test_where_nobody_listens_the_server_is_not_reached(folder):
    port = free_port()
    code, stages = await examined(folder, f"http://{LOOPBACK}:{port}")
    assert code == ExitCode.CANNOT_RUN
    assert stages["tcp"]["verdict"] == "fail"
    assert f"{LOOPBACK}:{port}" in stages["tcp"]["detail"]
    assert [stages[name]["detail"].partition(" skipped: ")[2] for name in CALL[2:]] == ["needs TCP"] * 7


async def test_pipecats_own_runner_is_well_at_every_stage(folder, pipecat_runner):
    code, stages = await examined(folder, pipecat_runner.url)
    assert code == ExitCode.OK
    called = {name: stages[name]["verdict"] for name in CALL if name not in {"offer", "audio"}}
    assert called == dict.fromkeys(called, "ok")
    assert "Pipecat's runner" in stages["status"]["detail"]
    assert {stages["offer"]["verdict"], stages["audio"]["verdict"]} <= {"ok", "warn"}  # it may take its time


async def test_each_ice_server_that_fails_has_its_reason_and_its_place(folder, coturn):
    """A wrong password, a dead server, a certificate that nobody vouches for, a closed port."""
    closed = free_port()
    wrong, untrusted = coturn.ice_server("tcp", "wr0ng"), coturn.ice_server("tls")
    entries = [{"urls": each.urls, "username": "u", "credential": each.credential} for each in (wrong, untrusted)]
    async with stun_service(None) as dead:
        servers = [*entries, dead.server.url, f"turn:{LOOPBACK}:{closed}?transport=tcp"]
        code, stages = await examined(folder, PIPECAT_ICE_SERVERS=json.dumps(servers))
        silent = stages[f"stun:{LOOPBACK}:{dead.port}"]
    assert code == ExitCode.FAILED
    found = [
        stages[f"turn:{LOOPBACK}:{coturn.port}?transport=tcp"],
        stages[f"turns:{LOOPBACK}:{coturn.tls_port}"],
        stages[f"turn:{LOOPBACK}:{closed}?transport=tcp"],
        silent,
    ]
    assert [stage["verdict"] for stage in found] == ["fail"] * 4
    reasons = ["401", "certificate", "connection refused", "no answer in 2 s"]
    assert [reason in stage["detail"] for stage, reason in zip(found, reasons, strict=True)] == [True] * 4
    assert "wr0ng" not in json.dumps(stages)


async def test_a_relay_by_tls_is_well_where_its_certificate_is_trusted(folder, coturn):
    server = coturn.ice_server("tls")
    entry = {"urls": server.urls, "username": server.username, "credential": server.credential}
    trusted = {"SSL_CERT_FILE": str(coturn.certificate)}
    _, stages = await examined(folder, "--ice-servers", json.dumps(entry), **trusted)
    assert stages[f"turns:{LOOPBACK}:{coturn.tls_port}"]["verdict"] == "ok"


async def test_a_server_with_a_certificate_of_its_own_is_called_where_that_is_let_pass(folder, tmp_path):
    with served(folder, "echo", "--https", XDG_DATA_HOME=str(tmp_path)) as server:
        code, stages = await examined(folder, await server.url(), "--insecure")
    assert (code, stages["tls"]["verdict"], stages["ice"]["verdict"]) == (ExitCode.OK, "warn", "ok")


async def test_a_server_that_wants_a_token_says_so_and_how_to_give_it(folder):
    with served(folder, "echo", "--token", "s3cret") as server:
        code, stages = await examined(folder, (await server.url()).partition("?")[0], "--token", "wrong")
    assert (code, stages["offer"]["verdict"]) == (ExitCode.FAILED, "fail")
    assert "--token" in stages["offer"]["cure"]


HANGING = """
import socket, sys, time

def hang(host, *args, **kwargs):
    time.sleep(300)

socket.getaddrinfo = socket.gethostbyname = hang
from smallrtc_cli.cli import main
sys.exit(main(["doctor", "http://bot.invalid:7860", "--ice-servers", "stun:stun.invalid", "--json"]))
"""


def test_a_resolver_that_hangs_holds_up_neither_the_document_nor_the_end(folder):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SMALLRTC_", "PIPECAT_", "GITHUB_"))}
    environment = inherited | {"PYTHONPATH": str(Path(smallrtc_cli.__file__).parents[1])}
    command = [sys.executable, "-c", HANGING]
    ended = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=50, check=False)
    stages = {stage["name"]: stage for stage in json.loads(ended.stdout)["stages"]}
    assert ended.returncode == ExitCode.CANNOT_RUN
    assert (stages["dns"]["verdict"], stages["name"]["verdict"]) == ("fail", "fail")
    assert stages["stun:stun.invalid:3478"]["verdict"] == "fail"


# As it is typed


@pytest.fixture
def typed(monkeypatch):
    seen = []
    monkeypatch.setattr(doctor, "run", lambda options: seen.append(options) or ExitCode.OK)
    return seen


def test_every_option_arrives_as_it_was_typed(typed):
    line = "doctor https://h/start --json --insecure --token t --header a:b --header c:d --ice-servers stun:a"
    line += " --ice-policy relay --udp-ports 5000-5010 --interface en0"
    assert cli.main(line.split()) == ExitCode.OK
    network = NetworkOptions(ice_servers=("stun:a",), ice_policy="relay", udp_ports="5000-5010", interfaces=("en0",))
    assert typed == [
        DoctorOptions(
            url="https://h/start", json=True, insecure=True, token="t", headers=("a:b", "c:d"), network=network
        )
    ]


def test_nothing_typed_is_an_examination_of_this_machine(typed):
    assert cli.main(["doctor"]) == ExitCode.OK
    assert typed == [DoctorOptions()]


@pytest.mark.parametrize(
    "line",
    [
        "doctor ftp://h",
        "doctor --ice-servers http://h",
        "doctor --ice-policy relay",
        "doctor --interface nothing0",
        "doctor --udp-ports 9",
        "doctor h:1 --header nocolon",
        "doctor h:1 extra",
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_nothing_is_examined(line, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "side_by_side", None)
    for name in ("SMALLRTC_ICE_SERVERS", "PIPECAT_ICE_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(line.split()) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")


async def test_ctrl_c_ends_it_at_once(folder):
    connected = asyncio.Event()

    async def silent(reader, writer):
        connected.set()
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, LOOPBACK) as server:
        url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        with running(folder, "doctor", url) as process:
            await asyncio.wait_for(connected.wait(), 40)
            process.send(signal.SIGINT)
            assert await process.ended(20) == ExitCode.INTERRUPTED
            assert "Traceback" not in process.errors
