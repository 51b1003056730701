import asyncio
import json

import pytest

from smallrtc_cli.commands.doctor import run as doctor
from smallrtc_cli.commands.doctor.run import DoctorOptions, run, side_by_side
from smallrtc_cli.errors import ExitCode
from smallrtc_cli.report.stages import Mark, Stage


def stage(name):
    return Stage(name, Mark.OK, name)


async def test_stages_are_told_in_the_order_of_the_examinations_whoever_is_first():
    second_is_done, told = asyncio.Event(), []

    async def first(tell):
        tell(stage("a"))
        await second_is_done.wait()
        tell(stage("b"))

    async def second(tell):
        tell(stage("c"))
        second_is_done.set()

    async with asyncio.timeout(10):
        await side_by_side([first, second], told.append)
    assert [each.name for each in told] == ["a", "b", "c"]


async def test_a_stage_is_told_as_soon_as_its_turn_has_come():
    told, go = [], asyncio.Event()

    async def first(tell):
        tell(stage("a"))
        await go.wait()  # and it is the teller that lets it go on

    async with asyncio.timeout(10):
        await side_by_side([first], lambda each: (told.append(each.name), go.set()))
    assert told == ["a"]


async def test_a_defect_of_ours_is_not_kept_quiet():
    async def broken(tell):
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        await side_by_side([broken], lambda each: None)
    assert raised.group_contains(ZeroDivisionError)


@pytest.fixture
def finding(monkeypatch):
    """An examination that finds these stages."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)

    def find(*stages):
        async def examined(examinations, tell):
            for each in stages:
                tell(each)

        monkeypatch.setattr(doctor, "side_by_side", examined)

    return find


FAIL = Stage("stun:h:3478", Mark.FAIL, "stun:h:3478: no answer in 2 s", "it is down", 2.0)
WARN = Stage("interfaces", Mark.WARN, "`tun0` is a VPN")


@pytest.mark.parametrize(
    ("stages", "code"),
    [((stage("a"),), ExitCode.OK), ((stage("a"), WARN), ExitCode.OK), ((WARN, FAIL, stage("a")), ExitCode.FAILED)],
)
def test_only_a_stage_that_fails_makes_the_exit_code_one(finding, capsys, stages, code):
    finding(*stages)
    assert run(DoctorOptions()) == code
    assert len([line for line in capsys.readouterr().out.splitlines() if not line.startswith("   ")]) == len(stages)


def test_json_is_one_document_and_nothing_beside_it(finding, capsys):
    finding(WARN, FAIL)
    run(DoctorOptions(json=True))
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] == "fail"
    assert err == ""


def test_failures_are_annotations_on_github(finding, capsys, monkeypatch):
    finding(WARN, FAIL)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    run(DoctorOptions(json=True))
    assert capsys.readouterr().err == "::error title=smallrtc doctor::stun:h:3478: no answer in 2 s\n"
