"""The candidates of one peer connection: the other side's, as they come, and whether there are any of ours."""

from collections.abc import Callable

from aioice import Candidate
from aiortc import RTCIceCandidate, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from smallrtc_cli.config import Ice
from smallrtc_cli.errors import CouldNotConnect
from smallrtc_cli.protocol.candidates import parse_candidate
from smallrtc_cli.protocol.rewriting import without_bad_candidates, without_end_of_candidates, without_local_names
from smallrtc_cli.protocol.signalling import IceCandidate
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.ice import IceAgent, IceOptions
from smallrtc_cli.rtc.tasks import Tasks


class PeerCandidates:
    """What the remote side has said of its candidates goes to the one bundled transport, of whatever m-line it is."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._pc = pc
        self._tasks = Tasks()
        self._ended: set[str] = set()
        self.refused = 0

    def sift(self, offer: str) -> tuple[str, list[IceCandidate | None]]:
        """An offer without the candidates that aiortc cannot take in it, and those to add afterwards.

        They are names that must be looked up; with them the end of all candidates (None) comes later, too.
        """
        readable, refused = without_bad_candidates(offer)
        self.refused += refused
        addressed, local_names = without_local_names(readable)
        offered = without_end_of_candidates(addressed) if local_names else addressed
        later: list[IceCandidate | None] = [IceCandidate(line) for line in local_names]
        return offered, later if offered == addressed else [*later, None]

    def add(self, candidate: IceCandidate | None) -> bool:
        """Feed a trickled candidate, or the end of all (None); False for one that is none."""
        dtls = aiortc_internals.dtls_transport(self._pc)
        if dtls is None:
            return False
        if candidate is None:
            self._tasks.start(dtls.transport.addRemoteCandidate(None))
        elif not candidate.candidate:
            return self._end_section(candidate.sdp_mid)
        elif parse_candidate(candidate.candidate) is None:
            self.refused += 1
            return False
        else:
            self._tasks.start(dtls.transport.addRemoteCandidate(_parsed(candidate)))
        return True

    def _end_section(self, mid: str) -> bool:
        """Candidates are over when they are for every m-line: a browser marks each by itself."""
        self._ended.add(mid)
        sections = len(self._pc.getTransceivers()) + (self._pc.sctp is not None)
        return len(self._ended) < sections or self.add(None)

    def close(self) -> None:
        """Names are looked up no more."""
        self._tasks.cancel()


def make_agent(ice: IceOptions, settings: Ice, trickle: Callable[[Candidate | None], None] | None) -> IceAgent:
    """Who gathers our candidates; `trickle` is told of those that come after the offer."""
    return IceAgent(
        ice.stun_servers,
        ice.turn_servers,
        relay_only=ice.relay_only,
        udp_ports=ice.udp_ports,
        interfaces=ice.interfaces,
        public_ip=ice.public_ip,
        settings=settings,
        trickle=trickle,
    )


def require_candidates(agent: IceAgent | None) -> None:
    """Raise `CouldNotConnect`, with what each server or interface said, when we have no candidate of our own."""
    if agent is None or agent.local_candidates:
        return
    reasons = "; ".join(f"{url}: {reason}" for url, reason in agent.server_errors.items())
    if agent.relay_only:
        raise CouldNotConnect(
            f"no TURN server gave a relay ({reasons or 'none answered'})",
            hint="relay only needs a `turn:` server with a user name and a credential that are right",
        )
    local = "; ".join(f"{address}: {reason}" for address, reason in agent.host_errors.items())
    raise CouldNotConnect(
        f"no network interface could be used for a candidate{f' ({local})' if local else ''}",
        hint="is `--udp-ports` wide enough, one port for each session, and `--interface` still there?",
    )


def plain_candidate(candidate: RTCIceCandidate) -> IceCandidate:
    """aiortc's candidate as one that a client trickles."""
    return IceCandidate(candidate_to_sdp(candidate), candidate.sdpMid or "0", candidate.sdpMLineIndex or 0)


def _parsed(candidate: IceCandidate) -> RTCIceCandidate:
    parsed = candidate_from_sdp(candidate.candidate.removeprefix("a=").removeprefix("candidate:"))
    parsed.sdpMid = candidate.sdp_mid
    return parsed
