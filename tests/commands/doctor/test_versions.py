import pytest

from smallrtc_cli.commands.doctor.versions import Software, judge, software
from smallrtc_cli.report.stages import Mark

VERSIONS = {"smallrtc": "0.1.0", "aiortc": "1.16.0"}


def stage(**environment):
    return judge(Software(VERSIONS, environment))


def test_versions_are_named_and_the_chunk_size_is_automatic():
    assert stage(HOME="/").detail == "smallrtc 0.1.0, aiortc 1.16.0; SCTP chunk: automatic"
    assert stage().verdict is Mark.OK


@pytest.mark.parametrize(
    ("environment", "shown", "verdict"),
    [
        ({"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1100"}, "1100 (`PIPECAT_SCTP_MAX_CHUNK_SIZE`)", Mark.OK),
        ({"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1400"}, "1400 (`PIPECAT_SCTP_MAX_CHUNK_SIZE`)", Mark.WARN),
        ({"SMALLRTC_SCTP_MAX_CHUNK_SIZE": "1164"}, "1164 (`SMALLRTC_SCTP_MAX_CHUNK_SIZE`)", Mark.OK),
        ({"SMALLRTC_SCTP_MAX_CHUNK_SIZE": "auto"}, "automatic (`SMALLRTC_SCTP_MAX_CHUNK_SIZE`)", Mark.OK),
        ({"SMALLRTC_SCTP_MAX_CHUNK_SIZE": ""}, "automatic", Mark.OK),
    ],
)
def test_who_set_the_chunk_size_is_named(environment, shown, verdict):
    found = stage(**environment)
    assert found.detail.endswith(f"SCTP chunk: {shown}")
    assert found.verdict is verdict
    assert bool(found.cure) is (verdict is not Mark.OK)


@pytest.mark.parametrize("value", ["big", "-5", "1e3", "٥", "1184 bytes"])
def test_a_chunk_size_that_is_no_number_fails_in_one_sentence(value):
    found = stage(PIPECAT_SCTP_MAX_CHUNK_SIZE=value)
    assert found.verdict is Mark.FAIL
    assert found.detail.startswith(f"`PIPECAT_SCTP_MAX_CHUNK_SIZE` is `{value}`, which is no size")
    assert found.cure


def test_ours_wins_over_pipecats():
    found = stage(PIPECAT_SCTP_MAX_CHUNK_SIZE="big", SMALLRTC_SCTP_MAX_CHUNK_SIZE="1104")
    assert (found.verdict, "chunk: 1104 (" in found.detail) == (Mark.OK, True)


def test_other_variables_are_named_and_their_values_are_not():
    found = stage(SMALLRTC_TOKEN="s3cret", PIPECAT_ICE_SERVERS="turn:hidden", PATH="/bin")
    assert found.detail.endswith("; set: `PIPECAT_ICE_SERVERS`, `SMALLRTC_TOKEN`")
    assert "s3cret" not in found.detail
    assert "hidden" not in found.detail


def test_this_machine_has_all_of_them():
    found = software({})
    assert list(found.versions) == ["smallrtc", "Python", "aiortc", "aioice", "av", "OpenSSL"]
    assert all(number[0].isdigit() for number in found.versions.values())
