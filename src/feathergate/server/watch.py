"""Whether the configuration's files have changed, told from `stat`: a look costs nothing, and no service is needed.

What a link leads to is what counts, so a ConfigMap, which Kubernetes exchanges by moving a link, is seen to change.
Who asks does so about once a second, and is told once for each change, when it has come to rest: a file that is just
being written is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

PERIOD_S = 1.0

Seen = tuple[tuple[int, ...] | None, ...]


class Watch:
    """`paths` need not be there; that one comes or goes is a change too."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._known = self._last = self._look()

    def has_changed(self) -> bool:
        """Whether there is a change that has not been told, and nothing has moved since the last look."""
        seen = self._look()
        resting = seen == self._last
        self._last = seen
        if not resting or seen == self._known:
            return False
        self._known = seen
        return True

    def _look(self) -> Seen:
        return tuple(_look_at(path) for path in self._paths)


def _look_at(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
