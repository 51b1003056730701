"""Session descriptions as text: cut into sections, and checked.

`check_offer` stands in front of the peer connection, so that nothing is started for garbage. What it lets
through a strict parser can read, once the candidates that nobody can are gone (`without_bad_candidates`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from smallrtc_cli.config import Limits
from smallrtc_cli.errors import BadRequest
from smallrtc_cli.protocol.candidates import CandidateLine, parse_candidate
from smallrtc_cli.protocol.messages import printable

_CANDIDATE: Final = "a=candidate"

_HASHES = ("sha-256", "sha-384", "sha-512")
"What a fingerprint may be made with; older hashes are not accepted by aiortc."

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_DEFAULT_MESSAGE_SIZE = 65_536
"Bytes, where a description says nothing (RFC 8841 section 6.1)."

_RESERVED_FORMATS = range(72, 77)  # RTCP packet types, RFC 5761 section 4

_LINE = re.compile(r"[a-z]=.*")
_M_LINE = re.compile(r"m=(audio|video|application) ([0-9]{1,5}) ([A-Z/]+) (.+)")
_ADDRESS = r"IN IP[46] [^ ]+"
_NUMBER = r"[0-9]{1,10}"
_GRAMMAR = {
    name: re.compile(pattern)
    for name, pattern in {
        "extmap": rf"{_NUMBER}(/[a-z]+)? [^ ]+",
        "fingerprint": r"[A-Za-z0-9-]+ [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+",
        "fmtp": r"[0-9]{1,3} .+",
        "group": r".*",
        "ice-options": r".+",
        "ice-pwd": r"[^ ]{1,256}",
        "ice-ufrag": r"[^ ]{1,256}",
        "max-message-size": r"[0-9]{1,19}",
        "mid": r"[^ ]{1,256}",
        "msid": r"[^ ]+( [^ ]+)?",
        "msid-semantic": r".*",
        "rtcp": rf"{_NUMBER}( {_ADDRESS})?",
        "rtcp-fb": r"(\*|[0-9]{1,3}) [^ ]+( .+)?",
        "rtpmap": rf"[0-9]{{1,3}} [^ /]+/{_NUMBER}(/[0-9]{{1,3}})?",
        "sctp-port": r"[0-9]{1,5}",
        "sctpmap": r"[0-9]{1,5} .+",
        "setup": r"active|passive|actpass",
        "ssrc": rf"{_NUMBER} [^:]+:.*",
        "ssrc-group": rf"[^ ]+( {_NUMBER})*",
    }.items()
}
"The attributes that are read, as RFC 8866 and its kin define them; all others are let through unread."

_WHOLE_PARAMETERS = re.compile(r"(?:^|;)(?:apt|max-f[rs]|maxplaybackrate|minptime|stereo|useinbandfec)=([^;]*)")
"Format parameters that are numbers."


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line and what belongs to it; the lines before the first are a section of kind `session`."""

    kind: str
    lines: tuple[str, ...]

    def attribute(self, name: str) -> str | None:
        """The value of the first `a=<name>` line: empty for a flag, None if there is no such line."""
        return next(iter(self.attributes(name)), None)

    def attributes(self, name: str) -> list[str]:
        head = f"a={name}"
        begin = len(head)
        found = [line for line in self.lines if line.startswith(head)]
        return [line[begin + 1 :] for line in found if line[begin : begin + 1] in ("", ":")]


@lru_cache(maxsize=2)
def sections(sdp: str) -> tuple[Section, ...]:
    """Cut a description at its m-lines; the first section is the session itself.

    Several ask for those of one offer, each before the next offer comes.
    """
    groups: list[list[str]] = [[]]
    for line in lines_of(sdp):
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    kinds = ["session", *(group[0][2:].split(" ", 1)[0] for group in groups[1:])]
    return tuple(Section(kind, tuple(group)) for kind, group in zip(kinds, groups, strict=True))


def check_offer(sdp: str, limits: Limits) -> None:
    """Refuse with `BadRequest` what is no offer that a peer connection could answer."""
    if len(sdp) > limits.sdp:
        raise BadRequest(f"the offer has {len(sdp)} characters, more than {limits.sdp}")
    _check_lines(sdp)
    session, *media = sections(sdp)
    if not media:
        raise BadRequest("the offer has no m-line")
    if len(media) > limits.media_sections:
        raise BadRequest(f"the offer has {len(media)} m-lines, more than {limits.media_sections}")
    if not {"audio", "application"} & {section.kind for section in media}:
        raise BadRequest("the offer has neither sound nor a data channel")
    _check_attributes(session)
    for section in media:
        _check_media(section, session, limits)
    _check_mids(session, media)


def max_message_size(sdp: str) -> int:
    """Bytes that the side which wrote this accepts in a message; 0 means any (RFC 8841 section 6)."""
    texts = [s.attribute("max-message-size") for s in sections(sdp) if s.kind == "application"]
    return int(texts[0]) if texts and texts[0] and texts[0].isdecimal() else _DEFAULT_MESSAGE_SIZE


def candidates(sdp: str) -> list[CandidateLine]:
    """The candidates that can be read, in order, once each: bundled sections repeat them."""
    found = (parse_candidate(line) for line in lines_of(sdp) if is_candidate(line))
    return list(dict.fromkeys(candidate for candidate in found if candidate is not None))


def is_candidate(line: str) -> bool:
    """Whether a line sets out to be a candidate, good or bad."""
    return line == _CANDIDATE or line.startswith(f"{_CANDIDATE}:")


def lines_of(sdp: str) -> list[str]:
    """The lines, whatever ends them; empty ones mean nothing."""
    return [line for line in sdp.replace("\r\n", "\n").split("\n") if line]


def join(lines: Iterable[str]) -> str:
    """A description again: every line ends with CRLF, the last one too."""
    return "".join(f"{line}\r\n" for line in lines)


def _check_lines(sdp: str) -> None:
    lines = lines_of(sdp)
    if not lines or lines[0] != "v=0":
        raise BadRequest("the offer is not a session description: it does not begin with `v=0`")
    for number, line in enumerate(lines, 1):
        # A control character would be a line end to some readers, a lone surrogate cannot be sent.
        if not line.isprintable() or not _LINE.fullmatch(line):
            raise BadRequest(f"line {number} of the offer is no line of a session description")


def _check_attributes(section: Section) -> None:
    for line in section.lines:
        name, colon, value = line.removeprefix("a=").partition(":")
        grammar = _GRAMMAR.get(name) if line.startswith("a=") else None
        if grammar is not None and not (colon and grammar.fullmatch(value)):
            raise BadRequest(f"the offer has a malformed line `{printable(line)}`")
        if line.startswith("c=") and not re.fullmatch(_ADDRESS, line[2:]):
            raise BadRequest(f"the offer has a malformed line `{printable(line)}`")


def _check_media(section: Section, session: Section, limits: Limits) -> None:
    m_line = _M_LINE.fullmatch(section.lines[0])
    if m_line is None:
        raise BadRequest(f"the offer has an m-line that cannot be served: `{printable(section.lines[0])}`")
    _check_attributes(section)
    _check_transport(section, session)
    if len(section.attributes("candidate")) > limits.candidates:
        raise BadRequest(f"an m-line of the offer has more than {limits.candidates} candidates")
    _check_parameters(section)
    if section.kind != "application":
        _check_formats(section, m_line[4].split())


def _check_transport(section: Section, session: Section) -> None:
    """ICE and DTLS must have what they start with; an m-line inherits from the session."""
    for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
        if not section.attribute(name) and not session.attribute(name):
            raise _lacking(section, f"a={name}")
    fingerprints = session.attributes("fingerprint") + section.attributes("fingerprint")
    if not any(value.lower().startswith(_HASHES) for value in fingerprints):
        raise BadRequest(f"the offer has no fingerprint by {', '.join(_HASHES)}")


def _check_formats(section: Section, formats: list[str]) -> None:
    if section.attribute("rtcp-mux") is None:
        raise _lacking(section, "a=rtcp-mux")
    if all(section.attribute(direction) is None for direction in _DIRECTIONS):
        raise _lacking(section, "a=sendrecv")
    if not all(_is_payload_type(value) for value in formats):
        raise BadRequest(f"the offer has an m-line with a bad payload type: `{printable(section.lines[0])}`")


def _lacking(section: Section, line: str) -> BadRequest:
    return BadRequest(f"the offer has an m-line of kind `{section.kind}` without `{line}`")


def _check_parameters(section: Section) -> None:
    mapped = {value.partition(" ")[0] for value in section.attributes("rtpmap")}
    for value in section.attributes("fmtp"):
        payload_type, _, parameters = value.partition(" ")
        numbers = _WHOLE_PARAMETERS.findall(parameters)
        if payload_type not in mapped or not all(re.fullmatch(_NUMBER, number) for number in numbers):
            raise BadRequest(f"the offer has a malformed line `a=fmtp:{printable(value)}`")


def _is_payload_type(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,3}", text)) and int(text) < 128 and int(text) not in _RESERVED_FORMATS


def _check_mids(session: Section, media: list[Section]) -> None:
    """One mid to an m-line, one m-line to a mid, and a bundle on an m-line that is there."""
    if sum(section.kind == "application" for section in media) > 1:
        raise BadRequest("the offer has more than one m-line for data channels")
    mids = [mid for section in media for mid in section.attributes("mid")]
    for section in media:
        if not section.attribute("mid"):
            raise _lacking(section, "a=mid")
    if len(mids) != len(media) or len(mids) != len(set(mids)):
        raise BadRequest("the offer has an `a=mid` twice")
    bundles = (group.split() for group in session.attributes("group"))
    if not {bundle[1] for bundle in bundles if len(bundle) > 1 and bundle[0] == "BUNDLE"} <= set(mids):
        raise BadRequest("the offer bundles everything with an m-line that is not there")
