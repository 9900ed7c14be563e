"""Bundles for devices: packed, verified, pushed to the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.progress import Progress

if TYPE_CHECKING:
    from edgesft.ship.hub import Pushed
    from edgesft.ship.pack import Packed
    from edgesft.ship.session import Place
    from edgesft.ship.sign import Trust
    from edgesft.ship.verify import Report


def pack(
    run: str | Path, output: str | Path | None = None, *, progress: Progress | None = None, **order: Any
) -> Packed:
    """Packs what a run left into a bundle for devices, by default `<run>-bundle.zip` beside it.

    Args:
        run: Folder that the run left.
        output: Folder or `.zip` to make.
        progress: Where to tell what goes on; by default standard error.
        order: The other fields of `edgesft.ship.pack.Order`: `version`, `variants`, `signer`, …

    Raises:
        InputError: What is asked for cannot be; nothing was written.
        RefusedError: The model does not keep its own contract, or a variant answers otherwise.
        UnavailableError: The disk is full, or model-signing is not installed.
    """
    from edgesft.ship.pack import Order
    from edgesft.ship.pack import pack as make

    return make(Order(Path(run), Path(output) if output else None, **order), progress)


def verify(
    bundle: str | Path,
    *,
    trust: Trust | None = None,
    rows: bool = True,
    place: Place | None = None,
    at_least: int = 1,
) -> Report:
    """Verifies a bundle; `holds` tells whether nothing is wrong, and `findings` what is.

    Args:
        bundle: Folder or archive.
        trust: Who must have signed it; None does not ask.
        rows: Whether to run the golden rows.
        place: On which provider, with which options and of which device; by default the CPU's, here.
        at_least: Lowest version of the bundle.

    Raises:
        InputError: There is no such bundle, or a key cannot be read.
        UnavailableError: model-signing is not installed.
    """
    from edgesft.ship.verify import verify as check

    return check(Path(bundle), trust=trust, rows=rows, place=place, at_least=at_least)


def push(place: str | Path, to: str, *, progress: Progress | None = None, **wishes: Any) -> Pushed:
    """Puts a bundle, or what a run left, on the Hugging Face hub, with its model card as the page.

    Args:
        place: A bundle, or the folder of a run, which is packed first.
        to: `owner/name`.
        progress: Where to tell what goes on; by default standard error.
        wishes: `private`, `message`, and `dry`, which sends nothing.

    Raises:
        InputError: The name is none, or the hub does not take it from this user.
        RefusedError: The bundle is not whole.
        UnavailableError: The hub cannot be reached.
    """
    from edgesft.ship.hub import push as send

    return send(Path(place), to, progress=progress, **wishes)
