from pathlib import Path

import pytest

from smallrtc_cli.commands.probe_mtu.options import Present, ProbeOptions, check, present
from smallrtc_cli.errors import UsageError

URL = "localhost:7860"


@pytest.mark.parametrize(
    "options",
    [
        ProbeOptions(),
        ProbeOptions(url=URL, listen=True),
        ProbeOptions(url=URL, json=True, json_lines=True),
        ProbeOptions(url=URL, json=True, watch=1.0),
        ProbeOptions(listen=True, json=True),
        ProbeOptions(listen=True, watch=1.0),
        ProbeOptions(listen=True, write_env=Path(".env")),
    ],
)
def test_what_contradicts_itself_is_a_usage_error(options):
    with pytest.raises(UsageError) as raised:
        check(options)
    assert raised.value.hint


@pytest.mark.parametrize(
    "options",
    [
        ProbeOptions(url=URL, json_lines=True, watch=1.0, write_env=Path(".env"), confirm=3),
        ProbeOptions(url=URL, json=True, write_env=Path(".env")),
        ProbeOptions(listen=True, json_lines=True),
    ],
)
def test_what_goes_together_is_fine(options):
    check(options)


@pytest.mark.parametrize(
    ("flag", "environment", "expected"),
    [
        (None, {}, Present(1100, None)),
        ("auto", {"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1200"}, Present(1100, None)),
        (None, {"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1200"}, Present(1200, "PIPECAT_SCTP_MAX_CHUNK_SIZE")),
        (
            None,
            {"PIPECAT_SCTP_MAX_CHUNK_SIZE": "1200", "SMALLRTC_SCTP_MAX_CHUNK_SIZE": "1000"},
            Present(1000, "SMALLRTC_SCTP_MAX_CHUNK_SIZE"),
        ),
        ("1160", {"SMALLRTC_SCTP_MAX_CHUNK_SIZE": "1000"}, Present(1160, "--sctp-chunk")),
    ],
)
def test_the_present_size_is_what_is_set_or_pipecats_own(flag, environment, expected):
    assert present(flag, environment) == expected


def test_a_size_that_is_none_is_a_usage_error():
    with pytest.raises(UsageError, match="`PIPECAT_SCTP_MAX_CHUNK_SIZE` is `many`"):
        present(None, {"PIPECAT_SCTP_MAX_CHUNK_SIZE": "many"})
