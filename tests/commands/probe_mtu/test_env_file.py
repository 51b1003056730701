import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallrtc_cli.commands.probe_mtu.env_file import require_writable, with_setting, write_setting
from smallrtc_cli.errors import CannotRun, UsageError

NAME = "CHUNK"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "CHUNK=1184\n"),
        ("A=1\n", "A=1\nCHUNK=1184\n"),
        ("A=1", "A=1\nCHUNK=1184\n"),
        ("A=1\r\n", "A=1\r\nCHUNK=1184\r\n"),
        ("A=1\nCHUNK=1200\nB=2\n", "A=1\nCHUNK=1184\nB=2\n"),
        ("A=1\r\nCHUNK=1200\r\nB=2", "A=1\r\nCHUNK=1184\r\nB=2"),
        ("CHUNK=", "CHUNK=1184"),
        ("CHUNK=\nB=2\n", "CHUNK=1184\nB=2\n"),
        ("export CHUNK = '1200'  # a guess\n", "export CHUNK = 1184  # a guess\n"),
        ('CHUNK="1200"# none\n', "CHUNK=1184\n"),
        ("CHUNK=1200#5\n", "CHUNK=1184\n"),
        ("CHUNK=12 00\n", "CHUNK=1184\n"),
        ("CHUNK= # nothing yet\n", "CHUNK= 1184 # nothing yet\n"),
        ("CHUNK=1\nCHUNK=2\n", "CHUNK=1\nCHUNK=1184\n"),
        ("# CHUNK=1200\nMY_CHUNK=1\nCHUNKS=2\n", "# CHUNK=1200\nMY_CHUNK=1\nCHUNKS=2\nCHUNK=1184\n"),
    ],
)
def test_one_line_is_set_and_the_others_stay(before, after):
    assert with_setting(before, NAME, "1184") == after
    assert with_setting(after, NAME, "1184") == after


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",))), max_size=5))
def test_whatever_else_is_there_stays_as_it_is(others):
    text = "".join(f"{line}\n" for line in others if "CHUNK" not in line)
    assert with_setting(text, NAME, "1184") == f"{text}CHUNK=1184\n"
    assert with_setting(f"{text}CHUNK=1\n{text}", NAME, "1184") == f"{text}CHUNK=1184\n{text}"


def test_the_file_keeps_its_mode_and_bytes_that_are_no_text(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(b"KEY=\xff\xfe\r\nCHUNK=1200\n")
    path.chmod(0o640)
    write_setting(path, NAME, "1184")
    assert path.read_bytes() == b"KEY=\xff\xfe\r\nCHUNK=1184\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_is_not_there_is_made(tmp_path):
    write_setting(tmp_path / ".env", NAME, "1184")
    assert (tmp_path / ".env").read_text() == "CHUNK=1184\n"


def test_what_a_link_points_to_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").write_text("A=1\n")
    link = tmp_path / ".env"
    link.symlink_to("real")
    write_setting(link, NAME, "1184")
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "A=1\nCHUNK=1184\n"


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("A=1\n")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotRun, match="no space left") as raised:
        write_setting(path, NAME, "1184")
    assert "CHUNK=1184" in raised.value.hint
    assert path.read_text() == "A=1\n"
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_and_a_place_that_is_not_there_are_told_before_anything_is_measured(tmp_path):
    for path in (tmp_path, tmp_path / "none" / ".env"):
        with pytest.raises(UsageError):
            require_writable(path)
    require_writable(tmp_path / ".env")


def test_a_device_or_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(os.devnull)
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(UsageError, match="is no ordinary file"):
            require_writable(path)


def test_a_name_that_no_file_can_have_is_a_usage_error(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "loop", tmp_path / ("a" * 300)):
        with pytest.raises(UsageError, match="cannot be a file"):
            require_writable(path)
