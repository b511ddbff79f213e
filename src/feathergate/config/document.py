"""YAML into plain values, and the place of each: what stands where, for errors that point at it.

The text is scanned twice: first as events, which cost no stack, to refuse what is too deep or too large (libyaml's
composer overflows the C stack on a deep document); then composed into nodes and walked. Aliases are followed and
counted each time they are used, `<<` merges as YAML 1.1 has it, a repeated key is an error, dates stay text, and
tags beyond YAML's plain ones are refused. Keys are read as text. Nothing is interpreted here.

`load.py` imports this module, and with it PyYAML, only when there is a file.
Source: YAML 1.1; reliability.md P05, S28.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import yaml
from msgspec import UNSET
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from feathergate.errors import Problem

from .finding import shown

DEPTH_LIMIT = 64
VALUE_LIMIT_COUNT = 200_000

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset(_TAG + name for name in ("str", "timestamp", "value", "merge"))
_NUMBER_TAGS = frozenset(_TAG + name for name in ("int", "float"))


class Place(NamedTuple):
    """A line and a column, both from 1."""

    line: int
    column: int


class Document(msgspec.Struct):
    """A file's content: plain values, and for each path the place of its value and of its key.

    `value` is UNSET where the text is not YAML, None where there is nothing in it.
    """

    value: Any = UNSET
    values: dict[Path, Place] = {}
    keys: dict[Path, Place] = {}
    problems: list[Problem] = []


class _TooLargeError(Exception):
    """The document nests too deeply, or holds too much once its aliases are followed."""

    def __init__(self, what: str, place: Place) -> None:
        super().__init__(what)
        self.what = what
        self.place = place


def parse_document(text: str, file: str) -> Document:
    """Plain values of YAML `text`. What is wrong with it is in `problems`, each with its place in `file`."""
    walk = _Walk(file)
    try:
        _check_size(text)
        node = yaml.compose(text, Loader=_LOADER)
        walk.document.value = None if node is None else walk.build(node, ())
    except _TooLargeError as error:
        walk.refuse(error.what, "split the file, or write it with fewer aliases", error.place)
    except yaml.reader.ReaderError as error:
        place = find_place(text, lambda character: not _is_yaml_character(character))
        walk.refuse("a character that YAML does not allow", f"remove it: {error.reason}", place)
    except yaml.MarkedYAMLError as error:
        walk.refuse(*_explain(error))
    return walk.document


def find_place(text: str, is_wrong: Callable[[str], bool]) -> Place:
    """The place of the first character for which `is_wrong` holds; the start if there is none."""
    index = next((index for index, character in enumerate(text) if is_wrong(character)), 0)
    return Place(text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def _is_yaml_character(character: str) -> bool:
    return character in "\t\n\r\x85" or not (
        character < " " or "\x7f" <= character <= "\x9f" or character in "\ufffe\uffff"
    )


def _check_size(text: str) -> None:
    depth = count = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            continue
        count += 1
        _check_limits(depth, count, event.start_mark)


def _check_limits(depth: int, count: int, mark: Any) -> None:
    if depth > DEPTH_LIMIT:
        raise _TooLargeError(f"the file nests deeper than {DEPTH_LIMIT} levels", _place(mark))
    if count > VALUE_LIMIT_COUNT:
        raise _TooLargeError(
            f"the file holds more than {VALUE_LIMIT_COUNT:,} values (an alias counts each time it is used)",
            _place(mark),
        )


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _explain(error: yaml.MarkedYAMLError) -> tuple[str, str, Place]:
    """What, fix and place of a syntax error. Parts of the text are not repeated: they may be a key."""
    is_open_quote = "quoted scalar" in (error.context or "")
    mark = (is_open_quote and error.context_mark) or error.problem_mark or error.context_mark
    parts = [part for part in (error.context, error.problem) if part]
    what = re.sub(r" ['\"].*", "", ", ".join(parts)) or "not YAML"
    fix = next((fix for word, fix in _SYNTAX_FIXES if word in what), "mend the YAML at this place")
    return f"not valid YAML: {what}", fix, _place(mark) if mark else Place(1, 1)


_SYNTAX_FIXES = (
    ("cannot start any token", "indent with spaces, and put text that begins with @, `, % or a tab in quotes"),
    ("mapping values are not allowed", 'put text that holds ": " in quotes, and check the indentation'),
    ("quoted scalar", "close the quote that begins here"),
    ("undefined alias", "define it with &NAME above, or put text that begins with * in quotes"),
    ("duplicate anchor", "give each & its own name"),
    ("another document", "keep one document a file: remove the line ---"),
    ("block mapping", "check the indentation: keys of one mapping begin in the same column"),
    ("block collection", "check the indentation: entries of one list begin in the same column"),
    ("flow", "close the bracket or brace, and separate its entries with commas"),
)


class _Walk:
    """One walk over a document's nodes."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.count = 0
        self.document = Document()

    def refuse(self, what: str, fix: str, place: Place) -> None:
        self.document.problems.append(Problem(what, fix, self.file, *place))

    def build(self, node: Node, path: Path) -> Any:
        """The plain value of `node`, its places noted under `path`."""
        self.count += 1
        _check_limits(len(path), self.count, node.start_mark)
        self.document.values[path] = _place(node.start_mark)
        if isinstance(node, ScalarNode):
            return self._build_scalar(node)
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self._refuse_tag(node)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)
        return self._build_mapping(node, path)

    def _build_mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for name, (key, value) in self._members(node, len(path)).items():
            self.document.keys[(*path, name)] = _place(key.start_mark)
            built[name] = self.build(value, (*path, name))
        return built

    def _members(self, node: MappingNode, depth: int) -> dict[str, tuple[Node, Node]]:
        """A mapping's own members, then those that `<<` brings and that it does not have itself."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: list[Node] = []
        for key, value in node.value:
            self.count += 1
            _check_limits(depth, self.count, key.start_mark)
            if key.tag == _TAG + "merge":
                merged.extend(value.value if isinstance(value, SequenceNode) else [value])
            elif not isinstance(key, ScalarNode):
                self.refuse("a key must be text, not a list or a mapping", "", _place(key.start_mark))
            elif key.value in own:
                self._refuse_repeated(key, own[key.value][0])
            else:
                own[key.value] = (key, value)
        for source in merged:
            if not isinstance(source, MappingNode):
                self.refuse("<< must name a mapping", "write <<: *NAME", _place(source.start_mark))
                continue
            for name, member in self._members(source, depth + 1).items():
                own.setdefault(name, member)
        return own

    def _refuse_repeated(self, key: Node, first: Node) -> None:
        self.refuse(
            f"{shown(key.value)} stands twice in the same mapping",
            f"remove one: the other is on line {first.start_mark.line + 1}",
            _place(key.start_mark),
        )

    def _refuse_tag(self, node: Node) -> None:
        self.refuse("a YAML tag (!…) that is not supported here", "remove the tag", _place(node.start_mark))

    def _build_scalar(self, node: ScalarNode) -> Any:
        if node.tag in _TEXT_TAGS:
            return node.value
        if node.tag == _TAG + "null":
            return None
        if node.tag == _TAG + "bool" or node.tag in _NUMBER_TAGS:
            return self._build_number(node)
        self._refuse_tag(node)
        return node.value

    def _build_number(self, node: ScalarNode) -> Any:
        """A number or truth value, as YAML 1.1 spells it; only what JSON can carry."""
        try:
            value = SafeConstructor.yaml_constructors[node.tag](SafeConstructor(), node)
        except (ValueError, KeyError):
            value = math.nan
        if not math.isfinite(value) or (isinstance(value, int) and not -(2**63) <= value < 2**64):
            self.refuse("a number that cannot be used here", "write a finite number", _place(node.start_mark))
            return None
        return value
