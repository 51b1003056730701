"""When a device counts as gone, when to try to get it back, and when it is. Pure: `now` is monotonic seconds.

    open      no callback for `lost_after`, or its stream has ended     →  lost: GONE, close it
    lost      `retry` has passed since it was lost or since a try       →  TRY to open it
    lost      it was opened, and a callback comes                       →  open: BACK
    lost      it was opened, and none comes for `settle`                →  lost: FAILED, close it

Right after opening a device may take `settle` before its callbacks are regular. A look that itself came late proves
nothing: then the whole process stood still, callbacks too.
"""

from enum import StrEnum, auto

from smallrtc_cli.config import Devices


class DeviceState(StrEnum):
    """As others see it."""

    OPEN = "open"
    LOST = "lost"


class Finding(StrEnum):
    """What a look has found, and what is to be done."""

    NOTHING = auto()
    GONE = auto()
    TRY = auto()
    FAILED = auto()
    BACK = auto()


class DeviceWatch:
    """Follows one device, which is open from the beginning."""

    def __init__(self, now: float, settings: Devices | None = None) -> None:
        self._settings = settings or Devices()
        self.state = DeviceState.OPEN
        self._looked = self._opened_at = self._heard_at = now
        self._try_at: float | None = None
        self._has_heard = self._has_ended = False

    def heard(self, now: float) -> None:
        """A callback came; from any thread."""
        self._heard_at = now
        self._has_heard = True

    def ended(self) -> None:
        """PortAudio has ended the stream by itself; from any thread."""
        self._has_ended = True

    def opened(self, now: float) -> None:
        """The device was opened; callbacks may have come already."""
        self._opened_at = now
        self._heard_at = max(self._heard_at, now)
        self._try_at = None

    def failed(self, now: float) -> None:
        """The device could not be opened."""
        self._try_at = now + self._settings.retry

    def look(self, now: float) -> Finding:
        """To be called every `Devices.look` seconds."""
        if now - self._looked > self._settings.lost_after / 2:
            self._heard_at = max(self._heard_at, now - self._settings.look)
        self._looked = now
        if self.state is DeviceState.OPEN:
            return self._lose(now, Finding.GONE) if self._is_silent(now) else Finding.NOTHING
        if self._try_at is not None:
            return self._try() if now >= self._try_at else Finding.NOTHING
        if self._has_heard and not self._has_ended:
            self.state = DeviceState.OPEN
            return Finding.BACK
        return self._lose(now, Finding.FAILED) if self._is_silent(now) else Finding.NOTHING

    def _is_silent(self, now: float) -> bool:
        settling = now - self._opened_at <= self._settings.settle
        patience = self._settings.settle if settling else self._settings.lost_after
        return self._has_ended or now - self._heard_at > patience

    def _lose(self, now: float, finding: Finding) -> Finding:
        self.state = DeviceState.LOST
        self._try_at = now + self._settings.retry
        return finding

    def _try(self) -> Finding:
        self._has_heard = self._has_ended = False
        return Finding.TRY
