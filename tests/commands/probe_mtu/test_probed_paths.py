"""`smallrtc probe-mtu` and plain calls between real hosts with a small path between them."""

import json
from collections.abc import Iterator

import pytest
from netlab import ADDRESSES, Lab, obstacle
from probing import found
from served import Served, running, served

from smallrtc_cli.errors import ExitCode

pytestmark = pytest.mark.netlab

MESSAGES, SIZE = 10, 100_000
"A megabyte in messages that fit on a command line."


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    missing = obstacle()
    if missing is not None:
        pytest.skip(missing)
    with Lab() as laboratory:
        yield laboratory


@pytest.fixture(scope="module")
def server(lab, tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    with served(folder, "echo", "--host", ADDRESSES["b"][4], runner=lab.command("b", [])) as process:
        yield process


@pytest.fixture
def caller(lab) -> Iterator[list[str]]:
    """What runs a command on the host that calls; nothing is in the way at first."""
    lab.clear()
    yield lab.command("a", [])
    lab.clear()


@pytest.mark.parametrize(
    ("kind", "family", "cause", "pieces"),
    [
        ("local", 4, "local", True),
        ("icmp", 6, "icmp", True),
        ("router-silent", 4, "black-hole", True),
        ("black-hole", 4, "black-hole", False),
        ("black-hole", 6, "black-hole", False),
    ],
)
async def test_size_cause_and_fragments_are_told_from_each_other(
    lab, server, caller, tmp_path, kind, family, cause, pieces
):
    url = await server.url()
    lab.limit(1280, kind)
    document = await found(tmp_path, url, "--interface", ADDRESSES["a"][family], runner=caller)
    size = {4: 1184, 6: 1164}[family]
    assert document["path"]["family"] == family
    assert (document["up"], document["down"]["chunk"]) == ({"chunk": size, "ip_packet": 1277}, size)
    assert (document["verdict"], document["cause"]) == ("found", cause)
    assert document["fragments_pass"] is pieces


async def test_a_megabyte_there_and_back_passes_a_black_hole_with_no_option_given(lab, server, caller, tmp_path):
    url = await server.url()
    lab.limit(1280)
    said = [json.dumps({"n": number, "x": "x" * SIZE}) for number in range(MESSAGES)]
    sent = [word for text in said for word in ("--message", text)]
    expected = [word for number in range(MESSAGES) for word in ("--expect", json.dumps({"n": number}))]
    silent = ("--no-input", "--no-output", "--expect-timeout", "30")
    with running(tmp_path, "connect", url, *silent, *sent, *expected, runner=caller) as process:
        code = await process.ended(50)
    assert code == ExitCode.OK, process.errors[-2000:]
