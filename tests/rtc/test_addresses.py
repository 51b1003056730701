"""Ports, interfaces and announced addresses, by value and on real sockets of 127.0.0.1."""

import contextlib

import pytest
from aioice import Candidate
from udp_ports import free_range

from smallrtc_cli.errors import UsageError
from smallrtc_cli.rtc.addresses import (
    Interface,
    announced,
    bind_udp,
    check_interfaces,
    chosen_addresses,
    local_interfaces,
    parse_public_ip,
    parse_udp_ports,
)

INTERFACES = (
    Interface("lo", ("127.0.0.1", "::1")),
    Interface("eth0", ("10.0.0.3", "fd00::2")),
    Interface("wlan0", ("192.168.1.5",)),
)


def host(address: str) -> Candidate:
    return Candidate.from_sdp(f"1 1 udp 2130706431 {address} 4242 typ host")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("50000-50100", 50000, 50100), (" 1 - 65535 ", 1, 65535), ("7000-7000", 7000, 7000)],
)
def test_a_range_of_ports_has_both_its_ends(text, first, last):
    ports = parse_udp_ports(text)
    assert (ports[0], ports[-1], len(ports)) == (first, last, last - first + 1)


@pytest.mark.parametrize(
    "text",
    ["", "50000", "50100-50000", "0-10", "1-65536", "-5", "5-", "a-b", "1-2-3", "1,2", "٥٠-٦٠", "1e3-2e3", "\x1b"],
)
def test_what_is_no_range_is_refused_with_the_grammar(text):
    with pytest.raises(UsageError, match="not a range of UDP ports") as caught:
        parse_udp_ports(text)
    assert "50000-50100" in caught.value.hint
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("bot.example.com", "bot.example.com"),
        ("my_host", "my_host"),
    ],
)
def test_an_address_or_a_name_can_be_announced(text, meant):
    assert parse_public_ip(text) == meant


@pytest.mark.parametrize(
    "text", ["", "0.0.0.0", "::", "224.0.0.1", "fe80::1", "1.2.3", "1.2.3.400", "a b", "http://x", "-x", "x.", "x:80"]
)
def test_what_nobody_could_reach_is_not_announced(text):
    with pytest.raises(UsageError):
        parse_public_ip(text)


def test_an_interface_is_meant_by_its_name_or_by_an_address():
    assert chosen_addresses(["eth0"], INTERFACES) == ["10.0.0.3", "fd00::2"]
    assert chosen_addresses(["10.0.0.3"], INTERFACES) == ["10.0.0.3"]
    assert chosen_addresses(["FD00:0:0::2"], INTERFACES) == ["fd00::2"]
    assert chosen_addresses(["wlan0", "lo", "127.0.0.1"], INTERFACES) == ["192.168.1.5", "127.0.0.1", "::1"]


def test_an_interface_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="no network interface is `eth1`") as caught:
        chosen_addresses(["eth0", "eth1"], INTERFACES)
    assert caught.value.hint == "there is `lo` (127.0.0.1, ::1), `eth0` (10.0.0.3, fd00::2), `wlan0` (192.168.1.5)"


def test_this_machine_has_a_loopback_interface_by_address():
    assert any("127.0.0.1" in interface.addresses for interface in local_interfaces())
    assert check_interfaces(["127.0.0.1"]) == ("127.0.0.1",)
    assert check_interfaces([]) == ()
    with pytest.raises(UsageError):
        check_interfaces(["198.51.100.99"])


def test_the_next_free_port_of_a_range_is_taken_and_a_full_range_is_said():
    ports = free_range(3)
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(bind_udp("127.0.0.1", ports)).getsockname()[1] for _ in ports]
        assert taken == list(ports)
        with pytest.raises(OSError, match=f"all UDP ports from {ports[0]} to {ports[-1]} are in use"):
            bind_udp("127.0.0.1", ports)


def test_a_port_that_was_given_back_is_used_again():
    ports = free_range(1)
    for _ in range(3):
        with bind_udp("127.0.0.1", ports) as bound:
            assert bound.getsockname() == ("127.0.0.1", ports[0])


def test_without_a_range_the_system_chooses():
    with bind_udp("127.0.0.1") as one, bind_udp("127.0.0.1") as other:
        assert one.getsockname()[1] != other.getsockname()[1]
        assert not one.getblocking()


def test_an_address_that_is_not_here_is_an_error_and_not_a_full_range():
    with pytest.raises(OSError, match=r"(?i)assign|address"):
        bind_udp("198.51.100.99", free_range(2))


def test_an_announced_address_is_reflexive_with_the_hosts_port_and_the_host_behind_it():
    candidate = announced(host("10.0.0.3"), "203.0.113.7")
    assert candidate.to_sdp().endswith("203.0.113.7 4242 typ srflx raddr 10.0.0.3 rport 4242")
    assert candidate.priority < host("10.0.0.3").priority
    assert candidate.foundation != announced(host("10.0.0.4"), "203.0.113.7").foundation


@pytest.mark.parametrize(
    ("local", "public"), [("10.0.0.3", "2001:db8::1"), ("fd00::2", "203.0.113.7"), ("203.0.113.7", "203.0.113.7")]
)
def test_another_ip_version_and_the_own_address_are_not_announced(local, public):
    assert announced(host(local), public) is None
