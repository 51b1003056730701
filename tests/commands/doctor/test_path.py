import pytest
from calls import answering, dialed, idle_bot

from smallrtc_cli.commands.doctor.path import judge, path_stage
from smallrtc_cli.report.stages import Mark


@pytest.mark.parametrize(("mtu", "verdict"), [(1500, Mark.OK), (1280, Mark.OK), (1279, Mark.WARN), (None, Mark.OK)])
def test_a_path_below_the_least_of_ipv6_is_a_warning(mtu, verdict):
    assert judge(mtu).verdict is verdict
    assert bool(judge(mtu).cure) is (verdict is Mark.WARN)


async def test_a_call_on_this_machine_has_a_path_that_carries_enough():
    async with answering(idle_bot) as server, dialed(server.supervisor) as (_, connection):
        stage = await path_stage(connection)
    assert (stage.name, stage.verdict) == ("mtu", Mark.OK)
