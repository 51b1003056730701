"""`smallrtc probe-mtu` from the outside: against our server, Pipecat's, and paths that lose or drop packets."""

import signal
from collections.abc import Iterator

import pytest
from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import HeartbeatChunk
from calls import answering, idle_bot
from ice_services import free_port
from narrow_path import narrow_path
from path_relay import Link
from probing import behind_relay, found, probe
from served import Served, running, served

from smallrtc_cli.errors import ExitCode
from smallrtc_cli.web.server import SignallingServer

KEYS = "version command verdict path up down cause fragments_pass overhead seconds probes"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server"), "echo") as process:
        yield process


# A server of ours


async def test_the_line_to_copy_is_alone_on_stdout_and_goes_into_a_file(server, tmp_path):
    env = tmp_path / ".env"
    env.write_text("# ours\nPIPECAT_SCTP_MAX_CHUNK_SIZE=1200  # a guess\nKEY=secret\n")
    process = await probe(tmp_path, await server.url(), "--write-env", env)
    assert process.process.returncode == ExitCode.OK
    (line,) = process.out
    name, size = line.strip().split("=")
    assert (name, int(size) % 4) == ("PIPECAT_SCTP_MAX_CHUNK_SIZE", 0)
    assert env.read_text() == f"# ours\nPIPECAT_SCTP_MAX_CHUNK_SIZE={size}  # a guess\nKEY=secret\n"
    labels = [each[:11].strip() for each in process.err]
    assert labels[:3] == ["path", "up", "down"]
    assert {"you use", "speed"} <= {*labels}
    assert "not told" not in process.errors


async def test_events_are_told_one_a_line_and_end_with_the_document(server, tmp_path):
    process = await probe(tmp_path, await server.url(), "--json-lines", "--confirm", "2", "--sctp-chunk", "600")
    names = [event["event"] for event in process.events]
    assert names == ["dialing", "connected", "up", "up", "down", "speed", "speed", "result"]
    (result,) = process.named("result", command="probe-mtu", verdict="found")
    assert set(KEYS.split()) <= set(result)
    assert process.named("speed", chunk=600)[0]["bytes_per_second"] > 0


async def test_nobody_there_could_not_connect(tmp_path):
    process = await probe(tmp_path, f"127.0.0.1:{free_port()}", "--json-lines")
    assert process.process.returncode == ExitCode.CANNOT_RUN
    assert process.named("failed", exit_code=3)
    assert "error: nothing listens at" in process.errors


async def test_on_a_host_without_a_server_it_answers_probes_itself(tmp_path):
    with running(tmp_path, "probe-mtu", "--listen", "--port", "0", "--token", "secret") as listening:
        hint = await listening.error("answers probes")
        (url,) = listening.out
        assert url.strip() in hint
        document = await found(tmp_path, url.strip(), "--token", "secret")
        assert (document["verdict"], document["exit_code"]) == ("found", 0)
        assert document["down"]["chunk"] == document["up"]["chunk"]
        assert (await probe(tmp_path, url.strip())).process.returncode == ExitCode.CANNOT_RUN
        code, _ = await listening.stopped(signal.SIGTERM)
        assert (code, len(listening.out)) == (ExitCode.OK, 1)


# Pipecat's server


async def test_pipecats_own_runner_is_probed_in_the_direction_that_can_be_known(pipecat_runner, tmp_path):
    process = await probe(tmp_path, pipecat_runner.url)
    assert process.process.returncode == ExitCode.OK
    assert process.out[0].startswith("PIPECAT_SCTP_MAX_CHUNK_SIZE=")
    assert "not told: the other side is not smallrtc" in process.errors
    assert "speed     not measured" in process.errors


# Paths


@pytest.mark.parametrize(
    ("link", "chunks"),
    [
        (Link(mtu=1280), range(1184, 1185)),
        (Link(mtu=1100), range(1004, 1005)),
        (Link(mtu=1200, loss=0.05), range(1092, 1105)),
    ],
)
async def test_a_black_hole_is_found_in_both_directions(tmp_path, link, chunks):
    async with behind_relay(link) as (url, _):
        document = await found(tmp_path, url)
    assert list(document) == [*KEYS.split(), "exit_code"]
    assert (document["verdict"], document["cause"], document["exit_code"]) == ("found", "black-hole", 0)
    assert {document["up"]["chunk"], document["down"]["chunk"]} <= {*chunks}
    assert document["path"]["family"] == 4
    assert document["fragments_pass"] is False


async def test_a_path_that_shrinks_is_told_while_it_is_watched(tmp_path):
    async with behind_relay(Link(mtu=1400)) as (url, relay):
        env = tmp_path / ".env"
        with running(tmp_path, "probe-mtu", url, "--watch", "0.2", "--json-lines", "--write-env", env) as process:
            first = await process.event("result")
            relay.change(Link(mtu=1280))
            await process.event(
                "changed", up={"chunk": 1184, "ip_packet": 1277}, down={"chunk": 1184, "ip_packet": 1277}
            )
            await process.event("written", chunk=1184)
            code, _ = await process.stopped()
    assert (first["up"]["chunk"], code) == (1304, ExitCode.INTERRUPTED)
    assert env.read_text() == "PIPECAT_SCTP_MAX_CHUNK_SIZE=1184\n"


async def test_another_side_that_answers_no_probes_is_inconclusive(tmp_path, monkeypatch):
    receive = RTCSctpTransport._receive_chunk

    async def without_heartbeats(self: RTCSctpTransport, chunk: object) -> None:
        if not isinstance(chunk, HeartbeatChunk):
            await receive(self, chunk)

    monkeypatch.setattr(RTCSctpTransport, "_receive_chunk", without_heartbeats)
    async with answering(idle_bot) as server:
        door = SignallingServer(server.supervisor)
        with narrow_path() as path:
            path.drop = lambda data: data[0] < 4 and len(data) > 180  # long requests
            process = await probe(tmp_path, await door.start())
            await door.close()
    assert process.process.returncode == ExitCode.INCONCLUSIVE
    assert process.out == []
    assert "inconclusive: the other side answers no probes" in process.errors


async def test_a_setting_that_is_no_size_is_a_usage_error(tmp_path):
    process = await probe(tmp_path, "127.0.0.1:9", PIPECAT_SCTP_MAX_CHUNK_SIZE="many")
    assert (process.process.returncode, process.out) == (ExitCode.USAGE, [])
    assert "error: `PIPECAT_SCTP_MAX_CHUNK_SIZE` is `many`" in process.errors
