"""What a script waits for: messages that contain an object."""

from collections.abc import Iterable
from typing import Any


def contains(whole: Any, part: Any) -> bool:
    """Whether `part` is in `whole`: each key of an object, at any depth; all else must be equal."""
    match whole, part:
        case dict(), dict():
            return all(key in whole and contains(whole[key], wanted) for key, wanted in part.items())
        case list(), list():
            return len(whole) == len(part) and all(map(contains, whole, part))
        case bool(), _:
            return whole is part
        case _:
            return not isinstance(part, bool) and bool(whole == part)


class Expectations:
    """The objects that are still waited for; one message may meet several, in any order."""

    def __init__(self, wanted: Iterable[Any] = ()) -> None:
        self._unmet = list(wanted)

    @property
    def unmet(self) -> tuple[Any, ...]:
        """Those that no message has met yet."""
        return tuple(self._unmet)

    def heard(self, message: Any) -> list[Any]:
        """A message came; returns what it met."""
        met = [wanted for wanted in self._unmet if contains(message, wanted)]
        self._unmet = [wanted for wanted in self._unmet if not contains(message, wanted)]
        return met
