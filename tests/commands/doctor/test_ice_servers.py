from ice_services import LOOPBACK, MAPPED, free_port, stun_service

from smallrtc_cli.commands.doctor import ice_servers
from smallrtc_cli.protocol.ice_servers import IceServerSpec
from smallrtc_cli.report.stages import Mark
from smallrtc_cli.rtc.ice import IceOptions
from smallrtc_cli.rtc.servers import StunServer, servers

OTHER = (MAPPED[0], MAPPED[1] + 1)


def turns(*wanted):
    specs = [IceServerSpec((each.urls,), each.username, each.credential) for each in wanted]
    return tuple(servers(specs)[1])


async def told(*stuns, turn=()):
    stages = []
    await ice_servers.examine(IceOptions(stun_servers=stuns, turn_servers=turn, interfaces=("lo",)), stages.append)
    return stages


async def test_without_servers_udp_itself_is_looked_at():
    assert [(stage.name, stage.verdict) for stage in await told()] == [("udp", Mark.OK)]


async def test_a_nat_that_maps_by_destination_is_seen_by_two_servers():
    async with stun_service(MAPPED) as one, stun_service(OTHER) as two:
        stages = await told(one.server, two.server)
    assert [stage.name for stage in stages] == [one.server.url, two.server.url, "nat", "udp"]
    assert [stage.verdict for stage in stages] == [Mark.OK, Mark.OK, Mark.WARN, Mark.OK]
    assert stages[2].detail.startswith("symmetric NAT")


async def test_dead_and_closed_servers_fail_beside_one_that_answers():
    async with stun_service(MAPPED) as one, stun_service(None) as dead:
        stages = await told(one.server, dead.server, StunServer("stun:x", LOOPBACK, free_port()))
    assert [stage.verdict for stage in stages[:3]] == [Mark.OK, Mark.FAIL, Mark.FAIL]
    assert stages[1].detail.endswith("no answer in 2 s")
    assert stages[2].detail.endswith("connection refused")
    assert "2 of 3 servers" in stages[-1].detail


async def test_udp_is_blocked_where_the_same_server_takes_tcp(coturn):
    """A server whose UDP port is somebody's who says nothing."""
    (tcp,) = turns(coturn.ice_server("tcp"))
    async with stun_service(None) as dead:
        (silent,) = turns(dead_at(dead.port))
        stages = await told(turn=(silent, tcp))
    assert stages[0].verdict is Mark.FAIL
    assert stages[0].detail == f"turn:{LOOPBACK}:{dead.port}?transport=udp: no answer in 2 s"
    assert stages[0].cure.endswith(f"; turn:{LOOPBACK}:{coturn.port}?transport=tcp works")
    assert (stages[-1].name, stages[-1].verdict) == ("udp", Mark.FAIL)
    assert "takes TCP" in stages[-1].detail


def dead_at(port):
    from smallrtc_cli.rtc.connection import IceServer

    return IceServer(urls=f"turn:{LOOPBACK}:{port}", username="u", credential="p")


async def test_each_way_to_a_turn_server_tells_its_own_reason(coturn):
    stages = await told(turn=turns(coturn.ice_server("udp", "wrong"), coturn.ice_server("tls")))
    listed = {stage.name: stage for stage in stages}
    udp = listed[f"turn:{LOOPBACK}:{coturn.port}?transport=udp"]
    tls = listed[f"turns:{LOOPBACK}:{coturn.tls_port}"]
    assert (udp.verdict, tls.verdict) == (Mark.FAIL, Mark.FAIL)
    assert "401" in udp.detail
    assert "self-signed" in tls.detail or "self signed" in tls.detail


async def test_servers_that_another_one_names_are_examined_without_udp(coturn):
    stages = []
    await ice_servers.examine_named(IceOptions(turn_servers=turns(coturn.ice_server())), stages.append)
    assert stages[0].verdict is Mark.OK
    assert "udp" not in [stage.name for stage in stages]
