import pytest

from smallrtc_cli.commands.doctor.interfaces import judge
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.links import Link

LO = Link("lo", ("127.0.0.1", "::1"), 65536)
ETH = Link("eth0", ("192.0.2.5", "fe80::1"), 1500)


def test_a_plain_network_is_fine_and_named_with_its_mtu():
    found = judge([LO, ETH])
    assert (found.verdict, found.cure) == (Mark.OK, None)
    assert found.detail == "network: eth0 (192.0.2.5, fe80::1, MTU 1500)"


def test_no_interface_at_all_fails_and_loopback_alone_is_a_warning():
    assert judge([]).verdict is Mark.FAIL
    assert "ip link set lo up" in judge([]).cure
    assert judge([LO]).verdict is Mark.WARN
    assert judge([LO, Link("eth0", ("fe80::1",), 1500)]).detail.startswith("loopback only")


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (Link("tailscale0", ("100.64.0.1", "fd7a::1"), 1280), "`tailscale0` is a VPN with MTU 1280"),
        (Link("wg0", ("10.8.0.2",), None), "`wg0` is a VPN"),
        (Link("utun3", ("10.8.0.2",), 1380), "`utun3` is a VPN with MTU 1380"),
        (Link("docker0", ("172.17.0.1", "fd00::1"), 1500), "`docker0` adds 2 candidates that nobody outside reaches"),
        (Link("br-0123456789ab", ("172.18.0.1",), 1500), "`br-0123456789ab` adds 1 candidate that nobody"),
        (Link("virbr0", ("192.168.122.1",), 1500), "`virbr0` adds 1 candidate that"),
        (Link("dsl0", ("192.0.2.9",), 1200), "`dsl0` has MTU 1200"),
    ],
)
def test_what_spoils_a_call_is_named_and_can_be_left_out(link, complaint):
    found = judge([LO, link, ETH])
    assert found.verdict is Mark.WARN
    assert found.detail.startswith(complaint)
    assert found.cure == "use `--interface eth0` to leave the others out"


@pytest.mark.parametrize("name", ["eth0", "en0", "wlan0", "wlp3s0", "br-lan", "bond0", "turnip0"])
def test_names_that_only_look_like_it_are_no_vpn_and_no_bridge_of_containers(name):
    assert judge([Link(name, ("192.0.2.5",), 1500)]).verdict is Mark.OK


def test_where_there_is_nothing_but_a_vpn_there_is_nothing_to_choose():
    found = judge([LO, Link("tun0", ("10.8.0.2",), 1400)])
    assert found.verdict is Mark.WARN
    assert "--interface" not in found.cure


def test_an_interface_that_was_left_out_is_no_matter():
    docker = Link("docker0", ("172.17.0.1",), 1500)
    assert judge([LO, docker, ETH], ["192.0.2.5"]).verdict is Mark.OK
    assert judge([LO, docker, ETH], ["127.0.0.1"]).verdict is Mark.OK
    assert judge([LO, docker, ETH], ["172.17.0.1"]).verdict is Mark.WARN
