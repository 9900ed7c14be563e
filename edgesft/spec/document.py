"""A YAML file with the line of every value, so that an error can point at it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edgesft.errors import InputError, Problem

Loc = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, mended in two places where it surprises: `5e-5` and `no`."""


# YAML 1.1 wants a dot in a float, so `learning_rate: 5e-5` would be a string; and `no`, `on`, `y` would be booleans,
# so a label `no` would be False. Both follow YAML 1.2's core schema here (yaml.org/spec/1.2.2, section 10.3.2).
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


@dataclass
class Document:
    """What a YAML file says and where.

    Attributes:
        source: The file's name as the user gave it.
        data: Plain values.
        lines: Path of keys and indices → line, from 1.
        notes: Path → text that replaces the line, for values that came from the command line.
    """

    source: str
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)
    notes: dict[Loc, str] = field(default_factory=dict)

    def where(self, loc: Loc) -> str:
        """The place of a value, or of the nearest thing above it that has one."""
        path = ".".join(str(part) for part in loc)
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.notes:
                return self.notes[loc[:end]]
            if loc[:end] in self.lines:
                return f"{self.source}:{self.lines[loc[:end]]} {path}".rstrip()
        return f"{self.source} {path}".rstrip()


def scalar(text: str) -> Any:
    """The value that `text` has in a recipe: `0.4` a number, `[a, b]` a list, `x` a string.

    Raises:
        yaml.YAMLError: The text is not YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)


def read(path: Path) -> Document:
    """Reads a YAML file.

    Raises:
        InputError: The file is missing, not readable, not text, not YAML, not a mapping, or says a key twice.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"the file '{path}' must exist", _similar(path)) from None
    except IsADirectoryError:
        raise InputError(f"'{path}' must be a file. Got a folder", "name the YAML file inside it") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"'{path}' must be a file that can be read. Got: {reason}", "check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' must be UTF-8 text. Got byte {error.object[error.start]:#x}") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Document:
    """As `read`, from text."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document(source, None)
        problems: list[Problem] = []
        if node is not None:
            _walk(node, (), document, problems)
            if problems:
                raise InputError(problems)
            document.data = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(
            Problem(f"must be YAML. Got: {reason}", "check the indentation there", f"{source}{line}")
        ) from None
    except RecursionError:
        message = "must be finite YAML. Got an anchor that contains itself, or values nested too deep"
        raise InputError(Problem(message, "write the values out", source)) from None
    finally:
        loader.dispose()
    if not isinstance(document.data, dict):
        kind = type(document.data).__name__ if document.data is not None else "nothing"
        raise InputError(Problem(f"must be a mapping of keys to values. Got {kind}", None, source))
    return document


def _walk(node: yaml.Node, loc: Loc, document: Document, problems: list[Problem]) -> None:
    """Records the line of every value, and every key that is said twice."""
    document.lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                message = f"a key must be a word. Got a {key.id}"
                problems.append(Problem(message, "write it as 'key: value'", f"{document.source}:{line}"))
                continue
            if key.value in seen:
                message = f"the key '{key.value}' must be given once. Also on line {seen[key.value]}"
                problems.append(Problem(message, "delete one of the two", f"{document.source}:{line}"))
            seen[key.value] = line
            document.lines[(*loc, key.value)] = line
            _walk(value, (*loc, key.value), document, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*loc, index), document, problems)


def _similar(path: Path) -> str | None:
    """A hint that names files with nearly the same name."""
    import difflib

    if not path.parent.is_dir():
        return f"the folder '{path.parent}' does not exist either"
    try:
        names: Sequence[str] = [entry.name for entry in path.parent.iterdir()]
    except PermissionError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"'{path.parent / near[0]}' exists" if near else None
