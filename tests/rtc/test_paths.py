"""What paths with a small MTU do to a call, on real kernels: two hosts and two routers in network namespaces."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_hosts import Hosts
from netlab import Lab, namespaces, obstacle, sweep

pytestmark = pytest.mark.netlab

TESTS = Path(__file__).parents[1]
MEGABYTE = 1_000_000
ENOUGH = 100_000
"Bytes that make a path carry full packets."

IN_VAIN = 3
"Sent three times and nothing acknowledged: where nothing is lost by chance it never will be."


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory) -> Iterator[Hosts]:
    missing = obstacle()
    if missing is not None:
        pytest.skip(missing)
    with Lab() as lab:
        hosts = Hosts(lab, tmp_path_factory.mktemp("lab"))
        yield hosts
        assert hosts.close() == [0, 0]


@pytest.fixture
def hosts(laboratory) -> Iterator[Hosts]:
    """The laboratory with nothing in the way."""
    laboratory.lab.clear()
    yield laboratory
    laboratory.a.ask("hang_up")


# The laboratory itself


def test_what_a_killed_run_has_left_is_swept_away(laboratory):
    killed = "import os, netlab; netlab.Lab().__enter__(); print(os.getpid(), flush=True); os._exit(9)"
    number = subprocess.run([sys.executable, "-c", killed], cwd=TESTS, stdout=subprocess.PIPE, text=True).stdout.strip()
    left = f"smallrtc-{number}-"
    assert left in namespaces()
    sweep()
    assert left not in namespaces()
    assert laboratory.lab.name("a") in namespaces()


# With chunks of a given size


@pytest.mark.parametrize(("family", "chunk"), [(4, 1404), (6, 1384)])
def test_without_a_limit_an_ethernet_packet_is_filled_to_its_last_byte(hosts, family, chunk):
    call = hosts.call(family, chunk)
    assert (":" in call["local"]["address"]) == (":" in call["remote"]["address"]) == (family == 6)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["local", "icmp"])
def test_where_the_kernel_knows_of_the_limit_its_fragments_hide_it(hosts, family, kind):
    hosts.lab.limit(1280, kind)
    hosts.call(family, chunk=1200)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["router-silent", "black-hole"])
def test_where_nobody_tells_a_connected_call_stalls_on_its_first_large_message(hosts, family, kind):
    hosts.lab.limit(1280, kind)
    hosts.call(family, chunk=1200)
    assert hosts.exchange(100) == ["arrived", "arrived"]
    assert hosts.exchange(ENOUGH, tries=IN_VAIN) == ["stalled", "stalled"]


@pytest.mark.parametrize(("size", "family", "chunk"), [(1280, 6, 1164), (900, 4, 804)])
def test_four_bytes_more_than_the_largest_chunk_stall_in_a_black_hole(hosts, size, family, chunk):
    hosts.lab.limit(size)
    hosts.call(family, chunk)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]
    hosts.call(family, chunk + 4)
    assert hosts.exchange(ENOUGH, tries=IN_VAIN) == ["stalled", "stalled"]


def test_a_limit_can_be_there_in_one_direction_only(hosts):
    hosts.lab.limit(1280, direction="down")
    hosts.call(chunk=1200)
    assert hosts.a.ask("send", size=ENOUGH)["outcome"] == "arrived"
    assert hosts.b.ask("send", size=ENOUGH, tries=IN_VAIN)["outcome"] == "stalled"


def test_on_the_way_to_a_turn_server_packets_have_four_bytes_more(hosts, certificate):
    with hosts.turn_server("r2", certificate) as turn:
        hosts.lab.limit(1280, router="r1")
        assert hosts.call(chunk=1180, turn=turn)["local"]["type"] == "relay"
        assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]
        hosts.call(chunk=1184, turn=turn)
        assert hosts.exchange(ENOUGH, tries=IN_VAIN) == ["stalled", "stalled"]


def test_behind_a_turn_server_they_have_not(hosts, certificate):
    with hosts.turn_server("r1", certificate) as turn:
        hosts.lab.limit(1280, router="r2")
        assert hosts.call(chunk=1184, turn=turn)["local"]["type"] == "relay"
        assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


def test_losses_slow_a_transfer_and_do_not_stop_it(hosts):
    hosts.lab.loss(5)
    hosts.call(chunk=1160)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


# The path is measured, and what it carries is used


@pytest.mark.parametrize(
    ("size", "kind", "family", "chunk", "limits"),
    [
        (1500, "black-hole", 4, 1404, ("local", "local")),
        (1500, "black-hole", 6, 1384, ("local", "local")),
        (1400, "black-hole", 6, 1284, ("black-hole", "black-hole")),
        (1400, "icmp", 4, 1304, ("icmp", "icmp")),
        (1280, "local", 4, 1184, ("local", "icmp")),
        (1280, "local", 6, 1164, ("local", "icmp")),
        (1280, "icmp", 4, 1184, ("icmp", "icmp")),
        (1280, "icmp", 6, 1164, ("icmp", "icmp")),
        (1280, "router-silent", 4, 1184, ("black-hole", "black-hole")),
        (1280, "router-silent", 6, 1164, ("black-hole", "black-hole")),
        (1239, "black-hole", 4, 1144, ("black-hole", "black-hole")),
        (1200, "local", 4, 1104, ("local", "icmp")),
        (1200, "black-hole", 6, 1084, ("black-hole", "black-hole")),
        (900, "icmp", 4, 804, ("icmp", "icmp")),
        (900, "black-hole", 4, 804, ("black-hole", "black-hole")),
        (900, "black-hole", 6, 784, ("black-hole", "black-hole")),
    ],
)
def test_a_path_is_measured_exactly_both_ways_and_a_megabyte_arrives(hosts, size, kind, family, chunk, limits):
    """With no option given; the limit of 1500 is the interface's own. A link's end is a router for the other side."""
    hosts.lab.limit(size, kind)
    hosts.call(family)
    found = hosts.paths()
    assert [each["chunk"] for each in found] == [each["used"] for each in found] == [chunk, chunk]
    assert [each["exact"] for each in found] == [True, True]
    assert [each["limit"] for each in found] == [*limits]
    assert hosts.exchange(MEGABYTE) == ["arrived", "arrived"]


@pytest.mark.parametrize(("kind", "passes"), [("router-silent", True), ("black-hole", False)])
def test_it_is_known_whether_packets_pass_in_pieces(hosts, kind, passes):
    """A silent router cuts IPv4 packets that may be cut; a middlebox that drops by length does not ask."""
    hosts.lab.limit(1280, kind)
    hosts.call()
    assert [each["pieces_pass"] for each in hosts.paths()] == [passes, passes]


def test_the_directions_of_a_path_are_measured_apart(hosts):
    hosts.lab.limit(1280, direction="down")
    hosts.call()
    assert [each["chunk"] for each in hosts.paths()] == [1404, 1184]
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


@pytest.mark.parametrize(("server", "router", "up"), [("r2", "r1", 1180), ("r1", "r2", 1184)])
def test_the_path_through_a_turn_server_is_measured_to_its_end(hosts, certificate, server, router, up):
    """The relay adds its four bytes on the first hop alone, and takes them off on the way back."""
    with hosts.turn_server(server, certificate) as turn:
        hosts.lab.limit(1280, router=router)
        hosts.call(turn=turn)
        assert [each["chunk"] for each in hosts.paths()] == [up, up]
        assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


@pytest.mark.parametrize("losses", [5, 15])
def test_losses_are_not_read_as_a_limit(hosts, losses):
    """What is found is never too much, and at most three steps too little."""
    hosts.lab.limit(1280)
    hosts.call()
    assert [each["chunk"] for each in hosts.paths()] == [1184, 1184]
    hosts.lab.loss(losses)
    for found in hosts.paths():
        assert 1172 <= found["chunk"] <= 1184


@pytest.mark.parametrize("family", [4, 6])
def test_a_message_gets_through_a_path_that_has_become_smaller_during_the_call(hosts, family):
    hosts.call(family)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]
    hosts.lab.limit(1000)
    assert hosts.exchange(ENOUGH) == ["arrived", "arrived"]


def test_four_bytes_more_than_was_found_do_not_pass(hosts):
    hosts.lab.limit(1239)
    hosts.call()
    found = hosts.paths()[0]["chunk"]
    hosts.call(chunk=found + 4)
    assert hosts.exchange(ENOUGH, tries=IN_VAIN) == ["stalled", "stalled"]


def test_a_size_that_was_set_and_does_not_pass_is_told_with_its_cause(hosts):
    hosts.lab.limit(1280)
    hosts.call(chunk=1400)
    assert hosts.exchange(ENOUGH, tries=IN_VAIN) == ["stalled", "stalled"]
    for host in (hosts.a, hosts.b):
        told = host.ask("trouble")["sentence"]
        assert told == "packets of 1493 bytes do not pass, 1277 do (a black hole: nothing comes back)"
