"""Lines of YAML with a comment behind them."""

from __future__ import annotations

from typing import Any

import yaml

WIDTH = 44
"""Column at which comments begin."""


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def line(text: str, comment: str = "") -> str:
    """Text, and a comment in the column of comments where there is one."""
    return f"{text:<{WIDTH - 2}}  # {comment}" if comment else text
