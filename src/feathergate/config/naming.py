"""Whether a name that settings give (a fallback, an alias, a hedged group) leads to a model.

The rules are the routing table's: a name as it stands, a pattern with `*` that it matches, and both again with the
provider that the name tells of. Nothing is looked up here for a request.
Source: litellm-config.md 4.2, "wildcards".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .finding import Findings, label, nearest, shown
from .litellm import split_model

if TYPE_CHECKING:
    from .document import Path

# A longer name is matched against no pattern.
LENGTH_LIMIT = 512
# A misspelling is looked for among all names, which takes its time.
SUGGESTION_LIMIT = 20
NEARNESS = 0.6


class Names:
    """The names of `model_list`, and the aliases once they are known."""

    def __init__(self, models: Iterable[str]) -> None:
        self._exact = dict.fromkeys(models)
        self._patterns = [_compile(name) for name in self._exact if "*" in name]
        # `openai/gpt-5`, as fallbacks may name it too.
        self._stripped = {name.partition("/")[2] for name in self._exact}
        self._suggested = 0

    def __contains__(self, name: str) -> bool:
        return name in self._exact

    def add(self, aliases: Iterable[str]) -> None:
        self._exact.update(dict.fromkeys(aliases))

    def serves(self, name: str) -> bool:
        """Whether a request for `name` finds a model."""
        provider, model = split_model(name)
        return self._finds(name) or (bool(provider) and self._finds(f"{provider}/{model}"))

    def covers(self, name: str) -> bool:
        """Whether what is set for `name` concerns a model."""
        return self.serves(name) or name in self._stripped

    def judge(self, findings: Findings, path: Path, name: str) -> None:
        """A word where requests are to be sent to `name`, at the value of `path`, and cannot."""
        if "*" in name:
            findings.warn(path, f"{label(path)}: {shown(name)} is a pattern", "name one model that it serves")
        elif not self.serves(name):
            findings.warn(path, f"{label(path)}: there is no model {shown(name)}", self.suggest(name))

    def judge_group(self, findings: Findings, path: Path, name: str) -> None:
        """A word where something is set for the group `name`, at the key of `path`, and there is none."""
        if name not in self._exact:
            findings.warn(path, f"{label(path)}: there is no model {shown(name)}", self.suggest(name), key=True)

    def suggest(self, name: str) -> str:
        """How to mend a name that leads nowhere."""
        self._suggested += 1
        near = nearest(name, self._exact, NEARNESS) if self._suggested <= SUGGESTION_LIMIT else None
        nearest_name = f", of which {shown(near)} is the nearest" if near else ""
        return f"write a model_name of model_list{nearest_name}"

    def _finds(self, name: str) -> bool:
        if name in self._exact:
            return True
        return len(name) <= LENGTH_LIMIT and any(pattern.fullmatch(name) for pattern in self._patterns)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
