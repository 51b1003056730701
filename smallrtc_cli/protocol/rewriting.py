"""Session descriptions rewritten, line by line: what a rule does not speak about stays as it was."""

import re

from smallrtc_cli.protocol.candidates import parse_candidate
from smallrtc_cli.protocol.opus_fmtp import OpusParameters
from smallrtc_cli.protocol.sdp import is_candidate, join, lines_of

_OPUS = re.compile(r"a=rtpmap:([0-9]{1,3}) opus/48000/2")


def with_opus(sdp: str, wishes: OpusParameters) -> str:
    """Say how we want to receive Opus, wherever it is named: aiortc says nothing of that."""
    lines = []
    for line in lines_of(sdp):
        named = _OPUS.fullmatch(line)
        lines += [line, *(wishes.lines(int(named[1])) if named else ())]
    return join(lines)


def without_bad_candidates(sdp: str) -> tuple[str, int]:
    """Drop the candidate lines that cannot be read, and say how many they were."""
    lines = lines_of(sdp)
    kept = [line for line in lines if not is_candidate(line) or parse_candidate(line)]
    return join(kept), len(lines) - len(kept)


def without_end_of_candidates(sdp: str) -> str:
    """The description of a peer that will tell of more candidates (RFC 8838)."""
    return join(line for line in lines_of(sdp) if line != "a=end-of-candidates")


def without_local_names(sdp: str) -> tuple[str, list[str]]:
    """Take out the candidates that hide behind an mDNS name, and return them: to look a name up takes time."""
    if ".local" not in sdp:
        return sdp, []
    lines = lines_of(sdp)
    hidden = [line for line in lines if is_candidate(line) and _is_local_name(line)]
    return join(line for line in lines if line not in hidden), hidden


def _is_local_name(line: str) -> bool:
    candidate = parse_candidate(line)
    return candidate is not None and candidate.address.endswith(".local")


def esp32_answer(sdp: str, host: str) -> str:
    """An answer that fits the 4 KiB of an ESP32: one hash, and only those candidates that are `host`."""
    return join(line for line in lines_of(sdp) if _fits_esp32(line, host))


def _fits_esp32(line: str, host: str) -> bool:
    if "sha-384" in line or "sha-512" in line:
        return False
    if not is_candidate(line):
        return True
    candidate = parse_candidate(line)
    return candidate is not None and candidate.address == host and candidate.related_address is None
