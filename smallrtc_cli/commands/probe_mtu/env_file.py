"""One setting in a `.env` file, without a change to anything else in it."""

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from smallrtc_cli.errors import CannotRun, UsageError

_VALUE: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s#'"]\S*)(?P<comment>[ \t]+#.*)?[ \t]*|(?P<alone>#.*)?|.*"""
"In quotes or not, with a comment behind it; nothing but a comment; what nobody can read."


def with_setting(text: str, name: str, value: str) -> str:
    """The same lines with `NAME=value` in the place of the last one that sets it, or behind all others.

    What stands around the value (`export`, spaces, a comment) and the ends of lines stay as they are.
    """
    pattern = rf"^(?P<head>[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=[ \t]*)(?:{_VALUE})$"
    found = [*re.finditer(pattern, text.replace("\r", "\n"), re.MULTILINE)]  # as long, and each line ends alike
    if found:
        last = found[-1]
        comment = f" {last['alone']}" if last["alone"] else last["comment"] or ""
        return text[: last.end("head")] + value + comment + text[last.end() :]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = newline if text and not text.endswith(("\n", "\r")) else ""
    return f"{text}{gap}{name}={value}{newline}"


def require_writable(path: Path) -> None:
    """Raise `UsageError` for what cannot be one: a device such as `/dev/null`, replaced, is gone for everybody."""
    hint = "`--write-env FILE` names a file, such as `.env`"
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        if path.resolve().parent.is_dir():
            return
        raise UsageError(f"`{path}` is in a folder that is not there", hint=hint) from None
    except OSError as error:  # a name that is too long, no right to look, a link to itself
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"`{path}` cannot be a file: {reason}", hint=hint) from error
    if kind != stat.S_IFREG:
        raise UsageError(f"`{path}` is {'a folder' if kind == stat.S_IFDIR else 'no ordinary file'}", hint=hint)


def write_setting(path: Path, name: str, value: str) -> None:
    """Set it in the file, which is replaced at once or not at all, and keeps mode and owner; raises `CannotRun`.

    A file that is not there is made; of a link what it points to is replaced.
    """
    target = path.resolve()
    try:
        # Bytes that are no UTF-8, and ends of lines of any kind, come through unchanged.
        text = target.read_bytes().decode(errors="surrogateescape") if target.exists() else ""
        _replace(target, with_setting(text, name, value).encode(errors="surrogateescape"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotRun(f"`{path}` cannot be written: {reason}", hint=f"put `{name}={value}` there yourself") from error


def _replace(target: Path, content: bytes) -> None:
    before = target.stat() if target.exists() else None
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if before is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
