"""HTML from values: whatever is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from edgesft.report.lines import clean

VOID = ("meta", "input", "br")


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """`<name …>content</name>`.

    Args:
        name: Of the element.
        content: Markup stays as it is; everything else is text, without what no reader can show.
        attributes: `class_` and `for_` without their line, other lines as hyphens; None and False leave one out, True
            gives it no value.
    """
    told = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{told}>")  # noqa: S704 - every value in it is escaped
    return Markup(f"<{name}{told}>{joined(content)}</{name}>")  # noqa: S704


def joined(parts: Iterable[object]) -> Markup:
    """The parts one after another; None is nothing."""
    return Markup("").join(_escaped(part) for part in parts if part is not None)


def short(text: str, most: int) -> str:
    """Text of at most so many characters, in one line."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{_escaped(value)}"'


def _escaped(value: object) -> Markup:
    return value if isinstance(value, Markup) else escape(clean(str(value)))
