"""The `.env` of a bot: of its folder, then of the current one.

What the shell has set wins over the file: it was said for this run, and the file for all. (Pipecat's runner
overrides; a bot that wants that calls `load_dotenv(override=True)` itself, as Pipecat's templates do.) What an earlier
`.env` has set is ours to change: a reload follows the file.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

from dotenv import dotenv_values

FILE = ".env"


class BotEnvironment:
    """Puts what `.env` files say into the environment, again and again."""

    def __init__(self, environment: MutableMapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._ours: dict[str, str] = {}

    def read(self, *folders: Path) -> tuple[Path, ...]:
        """Take over the `.env` of each folder, earlier ones first; returns the files that there are."""
        files = tuple(dict.fromkeys(path for path in (folder / FILE for folder in folders) if path.is_file()))
        wanted: dict[str, str] = {}
        for file in files:
            values = dotenv_values(file, encoding="utf-8")
            wanted = {key: value for key, value in values.items() if value is not None} | wanted
        for key in [key for key in self._ours if key not in wanted and self._is_ours(key)]:
            del self._environment[key]
        self._ours = {key: value for key, value in wanted.items() if key not in self._environment or self._is_ours(key)}
        self._environment.update(self._ours)
        return files

    def _is_ours(self, key: str) -> bool:
        return key in self._ours and self._environment.get(key) == self._ours[key]
