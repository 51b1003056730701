"""What a connection counts, with W3C's names and units (https://www.w3.org/TR/webrtc-stats/).

A report maps an id to a dictionary with `id`, `type`, `timestamp` (milliseconds since the epoch) and what belongs to
the type. Times are in seconds, sizes in bytes; what is not known is left out. Each figure is of the present peer
connection: a restart begins anew, but for our own counters in `smallrtc`, which are of the whole conversation.
"""

import asyncio
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiortc import RTCRtpTransceiver

from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.audio_receiver import AudioReceiver
from smallrtc_cli.rtc.connection import SmallWebRTCConnection
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.slot import SlotTrack
from smallrtc_cli.rtc.tracks import SmallWebRTCTrack

StatsReport = dict[str, dict[str, Any]]
Entry = dict[str, Any]

_CIPHERS: Final = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-SHA": "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "ECDHE-ECDSA-AES256-SHA": "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
}  # OpenSSL's names for what aiortc offers, and IANA's, which W3C wants; another one keeps OpenSSL's

_PROFILES: Final = {"SRTP_AES128_CM_SHA1_80": "SRTP_AES128_CM_HMAC_SHA1_80"}


async def stats(connection: SmallWebRTCConnection) -> StatsReport:
    """A snapshot: `inbound-rtp`, `outbound-rtp`, `remote-inbound-rtp`, `remote-outbound-rtp`, `media-source`, `codec`,
    `transport`, `candidate-pair` (the one in use), `local-candidate`, `remote-candidate`, `data-channel`,
    `peer-connection`, and our own counters as `smallrtc`.
    """
    peer = connection.peer
    entries: list[Entry] = []
    for index, transceiver in enumerate(peer.pc.getTransceivers()):
        entries += await _media(transceiver, connection.open_tracks.get(index), peer.sound.player(index))
    entries += [*_transport(peer), *_pair(peer), *_channel(peer)]
    entries.append({"id": "smallrtc", "type": "smallrtc", **connection.counters})
    now = dt.datetime.now(dt.UTC).timestamp() * 1000
    return {entry["id"]: {"timestamp": now, **entry} for entry in entries}


def of_type(report: StatsReport, kind: str, media: str | None = None) -> list[Entry]:
    """The entries of a type, such as `inbound-rtp`, of one kind of media if that is said."""
    return [e for e in report.values() if e["type"] == kind and (media is None or e.get("kind") == media)]


# Media


async def _media(
    transceiver: RTCRtpTransceiver, heard: SmallWebRTCTrack | None, player: AudioReceiver | None
) -> list[Entry]:
    codec = _codec(transceiver)
    source = _source(transceiver)
    extra: Entry = {"mid": transceiver.mid} | ({"codecId": codec["id"]} if codec else {})
    entries = [entry for entry in (codec, source) if entry]
    for end in (transceiver.sender, transceiver.receiver):
        for found in (await end.getStats()).values():
            if found.type == "transport":
                continue
            entry = _w3c({**vars(found)}, transceiver) | extra
            if found.type == "outbound-rtp" and source:
                entry["mediaSourceId"] = source["id"]
            if found.type == "inbound-rtp":
                entry |= (_heard(heard) if heard is not None else {}) | (player.statistics if player else {})
            entries.append({name: value for name, value in entry.items() if value is not None})
    return entries


def _w3c(entry: Entry, transceiver: RTCRtpTransceiver) -> Entry:
    """aiortc's entry in W3C's units: a jitter in RTP ticks becomes seconds, 256ths of loss a fraction."""
    for name in ("timestamp", "remoteTimestamp"):
        if entry.get(name) is not None:
            entry[name] = entry[name].timestamp() * 1000
    if (entry.get("remoteTimestamp") or 0) < 0:  # a sender that has not sent yet says nothing of the time
        del entry["remoteTimestamp"]
    if "jitter" in entry:
        entry["jitter"] = entry["jitter"] / aiortc_internals.clock_rate(transceiver)
    if "fractionLost" in entry:
        entry["fractionLost"] = entry["fractionLost"] / 256
    entry.pop("trackId", None)  # an object's address; W3C's is the media source's `trackIdentifier`
    return entry


def _codec(transceiver: RTCRtpTransceiver) -> Entry | None:
    codec = aiortc_internals.codec(transceiver)
    if codec is None:
        return None
    entry = {
        "id": f"codec_{transceiver.mid}_{codec.payloadType}",
        "type": "codec",
        "payloadType": codec.payloadType,
        "mimeType": codec.mimeType,
        "clockRate": codec.clockRate,
        "channels": codec.channels,
    }
    return {name: value for name, value in entry.items() if value is not None}


def _source(transceiver: RTCRtpTransceiver) -> Entry | None:
    track = transceiver.sender.track
    if not isinstance(track, SlotTrack) or transceiver.mid is None:
        return None
    level = track.sound.level(asyncio.get_running_loop().time())
    entry = {"id": f"media-source_{transceiver.mid}", "type": "media-source", "kind": track.kind}
    return entry | {"trackIdentifier": track.id} | ({} if level is None else {"audioLevel": level})


def _heard(track: SmallWebRTCTrack) -> Entry:
    if track.kind == "video":
        return {"trackIdentifier": track.id, "framesDropped": track.frames_dropped}
    return {"trackIdentifier": track.id, "audioLevel": track.sound.level(asyncio.get_running_loop().time())}


# Below the media


def _transport(peer: Peer) -> Iterable[Entry]:
    dtls, agent = aiortc_internals.dtls_transport(peer.pc), peer.agent
    if dtls is None:
        return
    entry = {**vars(aiortc_internals.transport_stats(dtls))}
    entry["timestamp"] = entry["timestamp"].timestamp() * 1000
    entry["iceState"] = dtls.transport.state
    if agent is not None:
        entry["iceLocalUsernameFragment"] = agent.local_username
        if agent.nominated_pair() is not None:
            entry["selectedCandidatePairId"] = "candidate-pair"
    yield entry | _security(aiortc_internals.dtls_security(dtls))


def _security(found: aiortc_internals.Security | None) -> Entry:
    if found is None:
        return {}
    return {
        "tlsVersion": f"{found.version:04X}",
        "dtlsCipher": _CIPHERS.get(found.cipher, found.cipher),
        "srtpCipher": _PROFILES.get(found.profile, found.profile),
        "dtlsRole": found.role,
    }


def _pair(peer: Peer) -> Iterable[Entry]:
    agent = peer.agent
    pair = agent.nominated_pair() if agent else None
    if agent is None or pair is None:
        return
    path = agent.path(pair)
    entry = {
        "id": "candidate-pair",
        "type": "candidate-pair",
        "nominated": True,
        "state": "succeeded",
        "localCandidateId": "local-candidate",
        "remoteCandidateId": "remote-candidate",
        "requestsSent": path.requests_sent,
        "responsesReceived": path.responses_received,
        "requestsReceived": path.requests_received,
        "totalRoundTripTime": path.total_round_trip,
    }
    yield entry | ({} if path.round_trip is None else {"currentRoundTripTime": path.round_trip})
    yield _candidate("local-candidate", pair.local_candidate)
    yield _candidate("remote-candidate", pair.remote_candidate)


def _candidate(kind: str, candidate: Any) -> Entry:
    entry = {
        "id": kind,
        "type": kind,
        "address": candidate.host,
        "port": candidate.port,
        "protocol": candidate.transport.lower(),
        "candidateType": candidate.type,
        "priority": candidate.priority,
    }
    related = {"relatedAddress": candidate.related_address, "relatedPort": candidate.related_port}
    return entry | {name: value for name, value in related.items() if value is not None}


def _channel(peer: Peer) -> Iterable[Entry]:
    counts = peer.counts
    totals: Mapping[str, int] = {"dataChannelsOpened": counts.opened, "dataChannelsClosed": counts.closed}
    yield {"id": "peer-connection", "type": "peer-connection", **totals}
    if peer.channel is None:
        return
    yield _size(peer) | {
        "id": "data-channel",
        "type": "data-channel",
        "label": peer.channel.label,
        "protocol": peer.channel.protocol,
        "dataChannelIdentifier": peer.channel.id,
        "state": peer.channel.readyState,
        "bufferedAmount": peer.buffered,
        "messagesSent": counts.messages_sent,
        "bytesSent": counts.bytes_sent,
        "messagesReceived": counts.messages_received,
        "bytesReceived": counts.bytes_received,
    }


def _size(peer: Peer) -> Entry:
    """Ours, beside W3C's: the chunks of the data channel, and the path below it."""
    path = peer.path
    if path is None:
        return {}
    entry = {"chunkSize": path.chunk, "chunkSizedBy": str(path.sized_by), "stalled": path.stalled}
    entry |= {"pathProbesSent": path.probes, "timesResent": path.resent}
    if path.report is not None:
        found = {"pathMtu": path.report.mtu, "pathLimit": str(path.report.limit)}
        entry |= {name: value for name, value in found.items() if value is not None}
    return entry
