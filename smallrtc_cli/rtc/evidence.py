"""What a peer knows of its attempt to connect, taken down as a value for `diagnosis`."""

from collections.abc import Iterable
from typing import Any

from aioice import Candidate
from aioice.ice import CandidatePair

from smallrtc_cli.protocol.session import Role
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.attempt import End, Evidence, Tried
from smallrtc_cli.rtc.ice import IceAgent
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.sockets import CheckSocket


def evidence(peer: Peer, role: Role) -> Evidence:
    """Take down what there is; to be called before the peer closes its sockets."""
    agent = peer.agent
    other = "client" if role is Role.ANSWER else "server"
    if agent is None:
        return Evidence(other)
    dtls = aiortc_internals.dtls_transport(peer.pc)
    sockets = [socket for socket in agent.sockets() if isinstance(socket, CheckSocket)]
    paths = [path for socket in sockets for path in socket.paths.values()]
    selected = agent.nominated_pair()
    return Evidence(
        other,
        local=_ends(agent.local_candidates),
        remote=_ends(agent.offered),
        resolved=_resolved(agent),
        pairs=[_tried(pair) for pair in agent.pairs()],
        relay_only=agent.relay_only,
        servers=agent.servers,
        server_errors=dict(agent.server_errors),
        host_errors=dict(agent.host_errors),
        send_errors=[socket.error for socket in sockets if socket.error],
        requests_heard=agent.requests_heard,
        checks_heard=sum(path.requests_received for path in paths),
        responses_heard=sum(path.responses_received for path in paths),
        selected=_tried(selected) if selected else None,
        dtls=dtls.state if dtls else "new",
        was_connected=peer.stages.connected is not None,
    )


def _ends(candidates: Iterable[Candidate]) -> tuple[End, ...]:
    return tuple(dict.fromkeys(_end(candidate) for candidate in candidates))


def _end(candidate: Any) -> End:
    return End(candidate.type, candidate.host, candidate.port, candidate.transport.lower())


def _resolved(agent: IceAgent) -> frozenset[str]:
    """aioice keeps a remote name among its candidates only when it has found the address."""
    return frozenset(candidate.host for candidate in agent.remote_candidates if candidate.host.endswith(".local"))


def _tried(pair: CandidatePair) -> Tried:
    state = pair.state.name.lower().replace("_", "-")
    return Tried(_end(pair.local_candidate), _end(pair.remote_candidate), state)
