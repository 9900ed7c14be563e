"""Canonical JSON: the same value always has the same bytes. Reading it trusts nothing."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from edgesft.ship.finding import Finding, Kind, RefusedError


def dump(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: RFC 8785 where there are no floats, whose spelling is Python's shortest."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def load(data: bytes, name: str, kind: Kind = "contract", *, floats: bool = True) -> Any:
    """A file's value.

    Args:
        data: What the file holds.
        name: What it is called.
        kind: Of what is found in it.
        floats: Whether numbers may have a point.

    Raises:
        RefusedError: It is no JSON, cut short, has a key twice, or its bytes are not the canonical ones.
    """

    def refuse(got: str) -> NoReturn:
        raise RefusedError(Finding(f"must be canonical JSON, got {got}", "pack the run again", name, kind))

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for key, value in found:
            if key in known:
                refuse(f"'{key}' twice")
            known[key] = value
        return known

    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=pairs,
            parse_constant=lambda text: refuse(text),
            parse_float=float if floats else lambda text: refuse(f"the float {text}"),
        )
        again = dump(value)
    except UnicodeDecodeError as error:
        refuse(f"byte {error.object[error.start]:#x} at {error.start}, which is no UTF-8")
    except json.JSONDecodeError as error:
        refuse(f"{error.msg} at {error.pos}: it is cut short or damaged")
    except RecursionError:
        refuse("values nested too deep")
    except ValueError as error:
        refuse(str(error))
    if again != data:
        refuse("the same value spelled otherwise")
    return value
