"""Packing, verifying and uploading bundles for devices."""

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
    """Packs a run into a bundle for devices, by default `<run>-bundle.zip` beside its folder.

    Args:
        run: The run's folder.
        output: Folder or `.zip` to write.
        progress: Where progress is reported; by default standard error.
        order: The other fields of `edgesft.ship.pack.Order`: `version`, `variants`, `signer`, …

    Raises:
        InputError: The request cannot be met; nothing was written.
        RefusedError: The model does not keep its contract, or a variant gives other answers.
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
    """Verifies a bundle. `holds` tells whether it is intact, and `findings` lists everything that is wrong.

    Args:
        bundle: Folder or archive.
        trust: The required signer; with None the signature is not checked.
        rows: Whether to run the golden rows.
        place: Provider, options and device for the golden rows; by default the CPU provider of this interpreter.
        at_least: Oldest version of the bundle to accept.

    Raises:
        InputError: There is no such bundle, or a key cannot be read.
        UnavailableError: model-signing is not installed.
    """
    from edgesft.ship.verify import verify as check

    return check(Path(bundle), trust=trust, rows=rows, place=place, at_least=at_least)


def push(place: str | Path, to: str, *, progress: Progress | None = None, **wishes: Any) -> Pushed:
    """Uploads a bundle or a run to the Hugging Face hub, with its model card as the page.

    Args:
        place: A bundle, or a run's folder, which is packed first.
        to: `owner/name`.
        progress: Where progress is reported; by default standard error.
        wishes: `private`, `message`, and `dry`, which uploads nothing.

    Raises:
        InputError: The name is invalid, or this user may not write to it.
        RefusedError: The bundle is not intact.
        UnavailableError: The hub cannot be reached.
    """
    from edgesft.ship.hub import push as send

    return send(Path(place), to, progress=progress, **wishes)
