"""Which modules belong to the bot's own folders, and a load that gets them all anew.

Live calls keep the modules that they have: functions hold their globals, whatever `sys.modules` says. One that
imports while it runs gets the new version.
"""

import contextlib
import importlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

_PACKAGE = __name__.partition(".")[0]

_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def is_own(name: str, file: str | None, folders: Sequence[Path], installed: Sequence[Path] = _INSTALLED) -> bool:
    """Whether a module is source code in one of the folders: not installed, not ours, not the main program."""
    if file is None or not file.endswith(".py") or name == "__main__" or name.partition(".")[0] == _PACKAGE:
        return False
    path = Path(file).resolve()
    if "site-packages" in path.parts or any(path.is_relative_to(folder) for folder in installed):
        return False
    return any(path.is_relative_to(folder) for folder in folders)


def own_modules(folders: Sequence[Path], modules: Mapping[str, ModuleType] | None = None) -> dict[str, ModuleType]:
    """The loaded modules of the folders."""
    known = dict(sys.modules if modules is None else modules)
    return {name: module for name, module in known.items() if is_own(name, getattr(module, "__file__", None), folders)}


@contextlib.contextmanager
def fresh_modules(folders: Sequence[Path]) -> Iterator[None]:
    """Within, modules of the folders are imported anew; when that fails, the old ones are back.

    No bytecode is written: two edits within a second, of the same length, would be taken for one. The first load
    belongs in here for that reason.
    """
    old = own_modules(folders)
    for name in old:
        del sys.modules[name]
    importlib.invalidate_caches()
    wrote, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    except BaseException:
        for name in own_modules(folders):
            del sys.modules[name]
        sys.modules.update(old)
        raise
    finally:
        sys.dont_write_bytecode = wrote
