"""One peer connection, from its session description to its close.

A peer answers an offer or makes one, tells its listener what happens, and closes without leaving anything behind.
It knows nothing of bots, sessions or reconnects: a conversation may go through several peers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from aioice import Candidate
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDataChannel, RTCRtpReceiver

from smallrtc_cli.config import Settings
from smallrtc_cli.protocol.rewriting import with_opus, without_end_of_candidates
from smallrtc_cli.protocol.sdp import check_offer, max_message_size
from smallrtc_cli.protocol.session import CloseReason
from smallrtc_cli.protocol.signalling import IceCandidate
from smallrtc_cli.rtc import aiortc_internals
from smallrtc_cli.rtc.aiortc_descriptions import DescribedPeerConnection
from smallrtc_cli.rtc.channel_path import ChannelPath
from smallrtc_cli.rtc.descriptions import make_answer, take_answer, take_offer
from smallrtc_cli.rtc.ice import IceAgent, IceOptions
from smallrtc_cli.rtc.media_sections import MediaOptions, add_sections, fill_sections, force_directions
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.peer_candidates import PeerCandidates, make_agent, require_candidates
from smallrtc_cli.rtc.peer_listener import Nobody, PeerListener
from smallrtc_cli.rtc.peer_messages import ChannelCounts, PeerMessages
from smallrtc_cli.rtc.peer_sound import OFFERED, PeerSound
from smallrtc_cli.rtc.peer_video import PeerVideo
from smallrtc_cli.rtc.slot import Slot
from smallrtc_cli.rtc.stages import Stages

__all__ = ["MediaOptions", "Peer"]

logger = logging.getLogger(__name__)

_HEAD_START = 0.005
"Seconds that the data channel gets to open before anything is sent; on one quiet machine it takes 3 to 5 ms."


class Peer:
    """One `RTCPeerConnection` and all that hangs on it."""

    def __init__(
        self,
        listener: PeerListener,
        slots: Mapping[int, Slot],
        ice: IceOptions,
        settings: Settings,
        *,
        trickles: bool = False,
    ) -> None:
        """With `trickles`, an offer does not wait for STUN and TURN servers."""
        self._listener, self._slots, self._settings = listener, slots, settings
        agents = partial(make_agent, ice, settings.ice, self._candidate_found if trickles else None)
        configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.pc = DescribedPeerConnection(configuration, agents)
        self.stages = Stages()
        self.candidates = PeerCandidates(self.pc)
        self.sound = PeerSound(settings)
        self.video = PeerVideo(self.pc)
        self.messages = PeerMessages(self.pc, settings)
        self._closing: asyncio.Task[None] | None = None
        self.pc.on("connectionstatechange", self._connection_state_changed)
        self.pc.on("iceconnectionstatechange", self._ice_state_changed)
        self.pc.on("datachannel", self._use_channel)
        self.pc.on("track", self._track_started)

    @property
    def agent(self) -> IceAgent | None:
        agent = aiortc_internals.ice_agent(self.pc)
        return agent if isinstance(agent, IceAgent) else None

    # Descriptions

    async def answer(self, sdp: str) -> str:
        """Apply an offer, the first or a later one, and return the answer's SDP; raises `BadRequest`."""
        check_offer(sdp, self._settings.limits)
        offered, later = self.candidates.sift(sdp)
        await take_offer(self.pc, offered)
        force_directions(self.pc)
        fill_sections(self.pc, self._slots, self.sound, self._channel_first)
        await make_answer(self.pc)
        require_candidates(self.agent)
        self._described(sdp)
        for candidate in later:
            self.add_candidate(candidate)
        return with_opus(str(self.pc.localDescription.sdp), self.sound.answered)

    async def offer(self, media: MediaOptions) -> str:
        """Make an offer, the first or a later one, and return its SDP."""
        if not self.pc.getTransceivers():
            self._use_channel(add_sections(self.pc, media))
            fill_sections(self.pc, self._slots, self.sound, self._channel_first)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        require_candidates(self.agent)
        sdp = with_opus(str(self.pc.localDescription.sdp), OFFERED)
        agent = self.agent
        return without_end_of_candidates(sdp) if agent and agent.trickling else sdp

    async def accept(self, sdp: str) -> None:
        """Apply the answer to our offer; raises `UnusableAnswer`."""
        await take_answer(self.pc, sdp)
        self._described(sdp)

    def _described(self, remote: str) -> None:
        self.messages.max_message_size = max_message_size(remote)
        self.sound.obey(remote)
        self.video.limit()
        self.stages.reach("described")

    async def _channel_first(self) -> None:
        """The channel opens by a few short packets, the first sound is a millisecond of work: that comes behind them.

        Where the path is so long that they take their time, sound does not wait for them.
        """
        if self.channel_is_coming:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEAD_START):
                    await self.messages.opened.wait()

    @property
    def mids(self) -> list[str]:
        """The identifiers of all m-lines (RFC 5888)."""
        sections = [*self.pc.getTransceivers(), self.pc.sctp]
        return [section.mid for section in sections if section is not None and section.mid is not None]

    # Candidates

    def add_candidate(self, candidate: IceCandidate | None) -> bool:
        """Feed a trickled candidate, or the end of all (None); False for one that is none."""
        return self._closing is None and self.candidates.add(candidate)

    @property
    def candidates_refused(self) -> int:
        return self.candidates.refused

    def _candidate_found(self, candidate: Candidate | None) -> None:
        if self._closing is None:
            self._listener.candidate_found(self, candidate)

    # Tracks

    def receiver(self, index: int) -> RTCRtpReceiver | None:
        """The receiver of that place (0 microphone, 1 camera, 2 screen), if its track has been negotiated."""
        transceivers = self.pc.getTransceivers()
        receiver = transceivers[index].receiver if index < len(transceivers) else None
        return receiver if receiver and receiver.track else None

    def _track_started(self, track: Any) -> None:
        for index, transceiver in enumerate(self.pc.getTransceivers()):
            if transceiver.receiver.track is track:
                if transceiver.kind == "audio":
                    self._play(index, transceiver.receiver)
                self._listener.track_started(self, index)

    def _play(self, index: int, receiver: RTCRtpReceiver) -> None:
        agent, dtls = self.agent, aiortc_internals.dtls_transport(self.pc)
        if agent is not None and dtls is not None:
            agent.take_media = self.sound.play(index, receiver, dtls)

    # The data channel

    def _use_channel(self, channel: RTCDataChannel) -> None:
        """Take a channel of any label; the newest one replaces those before."""
        self.messages.channel = channel
        channel.on("message", self._message_received)
        channel.on("open", lambda: self._channel_opened(channel))
        channel.on("close", lambda: self._channel_closed(channel))
        if channel.readyState == "open":
            self._channel_opened(channel)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel is not self.messages.channel:
            return
        self.messages.note_opened()
        self.stages.reach("channel")
        if self._closing is None:
            self.messages.see_path(self.agent, self)
        self._listener.channel_opened(self)

    def _message_received(self, payload: str | bytes) -> None:
        self.messages.counts.note_received(payload)
        self._listener.message_received(self, payload)

    def _channel_closed(self, channel: RTCDataChannel) -> None:
        if self.messages.lose(channel):
            self._listener.channel_closed(self)

    @property
    def channel(self) -> RTCDataChannel | None:
        """The present data channel."""
        return self.messages.channel

    @property
    def channel_is_coming(self) -> bool:
        """Whether a data channel was negotiated and has not been open yet."""
        return self.pc.sctp is not None and self.stages.channel is None

    @property
    def counts(self) -> ChannelCounts:
        """What went over the data channels so far."""
        return self.messages.counts

    def send(self, text: str) -> None:
        """Put a text on the open channel; it is dropped when there is none."""
        self.messages.send(text)

    async def wait_writable(self) -> None:
        """Wait while more than the limit is not acknowledged."""
        await self.messages.wait_writable()

    @property
    def buffered(self) -> int:
        """Bytes of messages that the other side has not acknowledged."""
        return self.messages.buffered

    async def drain(self, timeout: float, longest: float = 0.0) -> bool:
        """Wait until everything sent has been acknowledged; False when that took longer than `timeout`.

        As long as something is acknowledged within each `timeout` it goes on, for `longest` seconds in all.
        """
        return await self.messages.drain(timeout, longest)

    # The path (PathListener)

    @property
    def path(self) -> ChannelPath | None:
        """What the data channel's packets obey; None before a channel was open, and after the end."""
        return self.messages.path

    def path_found(self, report: PathReport) -> None:
        self.video.fit(report)
        self._listener.path_found(self, report)

    def stalled(self, sentence: str) -> None:
        self._listener.channel_stalled(self, sentence)

    def flowing(self) -> None:
        self._listener.channel_flows(self)

    # States

    def _ice_state_changed(self) -> None:
        if self.pc.iceConnectionState == "completed":
            self.stages.reach("ice")

    def _connection_state_changed(self) -> None:
        if self._closing is not None:
            return
        match self.pc.connectionState:
            case "connected":
                self.stages.reach("connected")
                self._listener.peer_connected(self)
            case "failed":
                dtls = aiortc_internals.dtls_transport(self.pc)
                broken = dtls is not None and dtls.state == "failed"
                self._listener.peer_failed(self, CloseReason.DTLS_ERROR if broken else CloseReason.ICE_TIMEOUT)
            case "closed" if self.agent is not None and self.agent.path_lost:
                self._listener.peer_failed(self, CloseReason.ICE_TIMEOUT)
            case "closed":
                self._listener.peer_closed(self)

    async def close(self) -> None:
        """Close everything; may be called again and by several, and takes a bounded time."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self.messages.close()
        self.candidates.close()
        self.sound.close()
        for transceiver in self.pc.getTransceivers():
            if transceiver.receiver.track is not None:
                aiortc_internals.end_track(transceiver.receiver.track)
        try:
            async with asyncio.timeout(self._settings.timing.close_timeout):
                await self.pc.close()
        except TimeoutError:
            logger.warning("a peer connection took longer than %s s to close", self._settings.timing.close_timeout)
            await self._release()
        except Exception:
            logger.debug("aiortc could not close what a description left half done", exc_info=True)
            await self._release()
        self._let_go()

    def _let_go(self) -> None:
        """Cut what leads back here, so that this goes with its last owner, and not with a garbage collection."""
        self._listener = Nobody()
        self.messages.let_go()

    async def _release(self) -> None:
        """Give back the sockets at least."""
        if self.agent is not None:
            await self.agent.close()
