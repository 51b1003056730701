"""The peers of a conversation, one after the other."""

from smallrtc_cli.config import Timing
from smallrtc_cli.errors import ConnectionEnded
from smallrtc_cli.rtc.path import PathReport
from smallrtc_cli.rtc.peer import Peer
from smallrtc_cli.rtc.tasks import Tasks


class Peers:
    """The present peer, and the one before it, which serves until the present one is connected."""

    def __init__(self, name: str, timing: Timing, tasks: Tasks) -> None:
        self._name, self._timing, self._tasks = name, timing, tasks
        self.present: Peer | None = None
        self._retired: Peer | None = None

    def __contains__(self, peer: Peer) -> bool:
        return peer is self.present or peer is self._retired

    def adopt(self, peer: Peer) -> None:
        """Go on over a new peer. No more than one serves beside it: a third one is closed."""
        if self._retired is not None:
            self._tasks.start(self._retired.close())
        self._retired, self.present = self.present, peer

    @property
    def last_heard(self) -> float:
        """When the last packet came from the other side, in loop time."""
        agent = self.present.agent if self.present is not None else None
        return agent.last_heard if agent is not None else 0.0

    async def wait_writable(self) -> None:
        """Return when the present peer, whichever that is by then, has room for more."""
        while (peer := self.present) is not None:
            await peer.wait_writable()
            if peer is self.present:
                return

    async def probe_path(self) -> PathReport:
        """See anew what the path carries from here to the other side; raises `ConnectionEnded`."""
        if self.present is None or self.present.path is None:
            raise ConnectionEnded(f"{self._name} has no data channel")
        return await self.present.path.probe()

    async def release_retired(self) -> None:
        """What is under way on the old peer still arrives, in both directions."""
        old = self._retired
        if old is None:
            return
        await old.drain(self._timing.drain_timeout)
        await old.close()
        if self._retired is old:
            self._retired = None

    async def close(self) -> None:
        """What has been sent arrives, if it can, within a bounded time."""
        if self.present is not None:
            await self.present.drain(self._timing.drain_timeout, self._timing.drain_longest)
            await self.present.close()
        if self._retired is not None:
            await self._retired.close()
