"""The messages of one peer connection: the data channel that they go over, what waits, and the path below it."""

import asyncio
import logging
from dataclasses import dataclass

from aiortc import RTCDataChannel

from smallrtc_cli.config import Settings
from smallrtc_cli.errors import MessageTooLarge
from smallrtc_cli.rtc.aiortc_descriptions import DescribedPeerConnection
from smallrtc_cli.rtc.channel_path import ChannelPath, PathListener
from smallrtc_cli.rtc.ice import IceAgent

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ChannelCounts:
    """What went over the data channels of one peer connection; bytes of the messages alone."""

    opened: int = 0
    closed: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0

    def note_received(self, payload: str | bytes) -> None:
        """A message has come."""
        self.messages_received += 1
        self.bytes_received += _size(payload)


class PeerMessages:
    """What goes over the newest data channel that either side has made."""

    def __init__(self, pc: DescribedPeerConnection, settings: Settings) -> None:
        self._pc, self._settings = pc, settings
        self._waiters: set[asyncio.Event] = set()
        self.counts = ChannelCounts()
        self.channel: RTCDataChannel | None = None
        self.path: ChannelPath | None = None
        "What the channel's packets obey; None before one was open, and after the end."
        self.max_message_size = 0
        "Bytes that the remote side accepts in a message; 0: any number."
        self.opened = asyncio.Event()
        "A channel has been open, and is told to be."

    def note_opened(self) -> None:
        """The present channel is open."""
        self.counts.opened += 1
        self.opened.set()

    def see_path(self, agent: IceAgent | None, listener: PathListener) -> None:
        """Now that a channel is open, see what its path carries."""
        association = self._pc.association
        if agent is None or association is None:
            return
        if self.path is None:
            self.path = ChannelPath(agent, association, self._settings.path_mtu, listener, self._put)
        try:
            self.path.open()
        except OSError as error:
            logger.debug("the path was not looked at: %s", error)

    def lose(self, channel: RTCDataChannel) -> bool:
        """A channel was closed; whether it was the present one, and there is none now."""
        self.counts.closed += 1
        if channel is not self.channel:
            return False
        self.channel = None
        self._wake_waiters()
        return True

    # Sending

    @property
    def is_open(self) -> bool:
        """Whether what is sent now goes out."""
        return self.channel is not None and self.channel.readyState == "open"

    def check_size(self, text: str) -> None:
        """Raise `MessageTooLarge` for a message that the remote side would not accept."""
        size, limit = len(text.encode()), self.max_message_size
        if limit and size > limit:
            raise MessageTooLarge(f"a message of {size} bytes is longer than the {limit} that the other side accepts")

    def send(self, text: str) -> None:
        """Put a text on the open channel; it is dropped when there is none."""
        if self.is_open:
            if self.path is not None:
                self.path.send(text)
            else:
                self._put(text)

    def _put(self, text: str) -> None:
        if self.channel is not None and self.channel.readyState == "open":
            self.channel.send(text)
            self.counts.messages_sent += 1
            self.counts.bytes_sent += _size(text)

    # Waiting for what was sent

    @property
    def buffered(self) -> int:
        """Bytes of messages that the other side has not acknowledged."""
        held = self.path.held if self.path is not None else 0
        queued = self.channel.bufferedAmount if self.channel is not None else 0
        return held + queued + (self._pc.association.outstanding if self._pc.association is not None else 0)

    @property
    def is_idle(self) -> bool:
        """Whether the channel is open and all that was sent has been acknowledged."""
        return self.is_open and not self.buffered

    async def wait_writable(self) -> None:
        """Wait while more than the limit is not acknowledged."""
        limit = self._settings.limits.buffered
        if self.buffered > limit:
            await self._until_buffered(limit // 2)

    async def drain(self, timeout: float, longest: float) -> bool:
        """See `Peer.drain`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        if self.path is not None:
            self.path.release()
        while True:
            before = self.buffered
            try:
                async with asyncio.timeout(timeout):
                    await self._until_buffered(0)
            except TimeoutError:
                if self.buffered < before and loop.time() < end:
                    continue
                return False
            return self.buffered == 0

    async def _until_buffered(self, most: int) -> None:
        """Until no more than that is buffered, or the channel is gone."""
        association, reached = self._pc.association, asyncio.Event()
        if association is None or self.channel is None or self.buffered <= most:
            return
        stop = association.on_acknowledgement(lambda: reached.set() if self.buffered <= most else None)
        self._waiters.add(reached)
        try:
            await reached.wait()
        finally:
            stop()
            self._waiters.discard(reached)

    def _wake_waiters(self) -> None:
        """Nothing that waits for the channel can come to its end any more."""
        for waiter in self._waiters:
            waiter.set()

    # The end

    def close(self) -> None:
        """Nobody waits, and the path is not looked at any more."""
        self._wake_waiters()
        if self.path is not None:
            self.path.close()

    def let_go(self) -> None:
        """Cut what leads back to the peer."""
        self.path = None
        if self.channel is not None:  # it was never open: aiortc keeps what waits for that
            self.channel.remove_all_listeners()
            self.channel = None


def _size(payload: str | bytes) -> int:
    return len(payload) if isinstance(payload, bytes) or payload.isascii() else len(payload.encode())
