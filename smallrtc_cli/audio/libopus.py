"""The door to libopus, the reference implementation of Opus.

Three ways lead there; they were measured (mono, 48 kHz, low-delay, complexity 0, 20 ms of silence: the price of the
way, not of the codec):

- ctypes on the library that PyAV's wheel brings: 17 µs to encode, 15 to decode, and every control: loss recovery,
  concealment, state reset, settings that change during a call. That is what is used.
- ctypes on the system's library: the same, but there may be none, and it may be old. Second choice; it is also the one
  that a PyAV built by a distribution uses.
- PyAV's codec contexts: 44 and 24 µs, 90 KB more a call, no way to recover or conceal a lost packet. They always work,
  so they are what is left when no library can be loaded (`opus_pyav`).

cffi calls as fast as ctypes, but parses C for 50 ms at its start, and is one more thing to install.

The functions keep Python's lock (`PyDLL`), for the 20 to 200 µs of a call. Given away, it comes back only when another
thread that computes lets go of it, after 5 ms: beside one such thread encoding takes 5.2 ms, and 0.12 ms as it is.
"""

import ctypes
import ctypes.util
import importlib.util
import logging
import re
import sys
from collections.abc import Iterator
from ctypes import c_char_p, c_int, c_int32, c_void_p
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

_FILE = re.compile(r"(lib)?opus([-.][-.0-9a-f]*)?\.(so|dylib|dll)[.0-9]*")
"What wheels call it: libopus-114e2b1a.so.0.11.1 (Linux), libopus.0.dylib (macOS), libopus-0-1f3a….dll (Windows)."

_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "opus_get_version_string": (c_char_p, []),
    "opus_encoder_get_size": (c_int, [c_int]),
    "opus_encoder_init": (c_int, [c_void_p, c_int32, c_int, c_int]),
    "opus_encode": (c_int32, [c_void_p, c_char_p, c_int, c_void_p, c_int32]),
    "opus_encoder_ctl": (c_int, [c_void_p, c_int]),  # and one more: Apple's ABI wants the fixed ones declared
    "opus_decoder_get_size": (c_int, [c_int]),
    "opus_decoder_init": (c_int, [c_void_p, c_int32, c_int]),
    "opus_decode": (c_int, [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]),
    "opus_decoder_ctl": (c_int, [c_void_p, c_int]),
}


@cache
def load() -> ctypes.PyDLL | None:
    """The library with its signatures, or None; anything but the first choice is told in the log, once."""
    for name, origin in _places():
        library = _opened(name)
        if library is None:
            continue
        if origin != "PyAV":
            logger.info("PyAV brings no libopus of its own; the %s's `%s` is used", origin, name)
        return library
    logger.info("libopus cannot be loaded; Opus goes through PyAV, which cannot recover or conceal lost packets")
    return None


def version(library: ctypes.PyDLL) -> str:
    """As the library names itself, `libopus 1.6.1`."""
    text: bytes = library.opus_get_version_string()
    return text.decode("ascii", "replace")


def _places() -> Iterator[tuple[str, str]]:
    """Where it may be, best first, and whose it is."""
    spec = importlib.util.find_spec("av")
    for package in (spec.submodule_search_locations or []) if spec else []:
        for folder in (Path(f"{package}.libs"), Path(package, ".dylibs")):  # auditwheel and delvewheel; delocate
            if folder.is_dir():
                yield from ((str(path), "PyAV") for path in sorted(folder.iterdir()) if _FILE.fullmatch(path.name))
    # On Linux `find_library` would start a compiler or `ldconfig`: the name is fixed by its ABI.
    name = "libopus.so.0" if sys.platform.startswith("linux") else ctypes.util.find_library("opus")
    if name:
        yield name, "system"


def _opened(name: str) -> ctypes.PyDLL | None:
    try:
        library = ctypes.PyDLL(name)
        for function, (result, arguments) in _SIGNATURES.items():
            symbol = getattr(library, function)
            symbol.restype, symbol.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        logger.debug("`%s` is no libopus that can be used: %s", name, error)
        return None
    return library
