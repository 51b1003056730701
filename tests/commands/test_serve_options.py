"""What of a command line of `serve` cannot be meant or had, and what it takes to know: by value."""

from dataclasses import replace
from pathlib import Path

import pytest

from smallrtc_cli.commands.network import NetworkOptions
from smallrtc_cli.commands.serve_options import ServeOptions, check
from smallrtc_cli.errors import CannotRun, SmallRTCError, UsageError

WRONG = {
    "ports": (NetworkOptions(udp_ports="9-1"), "is not a range of UDP ports"),
    "an interface": (NetworkOptions(interfaces=("nonsense",)), "no network interface is"),
    "an address": (NetworkOptions(public_ip="0.0.0.0"), "is not an address that others could reach"),
    "an ICE server": (NetworkOptions(ice_servers=("stun:",)), "ICE server"),
    "a relay": (NetworkOptions(ice_policy="relay"), "needs a TURN server"),
    "a chunk": (NetworkOptions(sctp_chunk="many"), "many"),
}


@pytest.mark.parametrize(("network", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_network_is_found_by_the_check(network, words):
    with pytest.raises(UsageError, match=words):
        check(ServeOptions(network=network), {})


@pytest.mark.parametrize("variable", ["PIPECAT_ICE_SERVERS", "SMALLRTC_ICE_SERVERS"])
def test_what_the_environment_says_of_ice_servers_is_checked_too(variable):
    with pytest.raises(UsageError, match="ICE server"):
        check(ServeOptions(), {variable: "turn:"})


def test_a_folder_for_recordings_is_made_and_one_that_cannot_be_is_no_folder(tmp_path):
    check(ServeOptions(record=tmp_path / "kept"), {})
    assert (tmp_path / "kept").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(CannotRun, match="recordings cannot be kept"):
        check(ServeOptions(record=tmp_path / "file" / "kept"), {})


OPTIONS = ServeOptions(esp32=True, host="192.0.2.1", ssl_certfile=Path("c"), ssl_keyfile=Path("k"))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(OPTIONS, host="localhost"),
        replace(OPTIONS, host="127.0.0.2"),
        replace(OPTIONS, ssl_certfile=None),
        replace(OPTIONS, reload_dirs=(Path("/no/such/folder"),)),
    ],
    ids=["an ESP32 and localhost", "an ESP32 and loopback", "a key without a certificate", "no folder"],
)
def test_what_does_not_go_together_is_refused(wrong):
    check(OPTIONS, {})
    with pytest.raises(SmallRTCError):
        check(wrong, {})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_only_this_machine_reaches_its_loopback_addresses(host):
    assert ServeOptions(host=host).is_local
    assert not ServeOptions(host="0.0.0.0").is_local


def test_it_is_secure_with_any_certificate():
    assert not ServeOptions().is_secure
    assert ServeOptions(https=True).is_secure
    assert ServeOptions(ssl_certfile=Path("c")).is_secure
