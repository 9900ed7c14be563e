"""Data sets that the `datasets` library reads: on the Hugging Face hub, or in a folder.

`datasets` turns either into Arrow files in its own cache, which are mapped into memory.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesft.data.chunks import CHUNK
from edgesft.data.files import sha256
from edgesft.errors import InputError, UnavailableError
from edgesft.spec.hub import HubAddress

SAVED = ("dataset_dict.json", "state.json")
"""What `save_to_disk` writes into a folder: of several splits, or of one."""


def split_of(place: HubAddress | Path, split: str) -> Any:
    """A split of a data set, a `datasets.Dataset`.

    Args:
        place: On the hub, or a folder: what `save_to_disk` wrote, or data files.
        split: Its name; of a folder that holds but one, saved by itself, none is needed.

    Raises:
        InputError: There is no such data set, configuration or split, or its files are damaged.
        UnavailableError: `datasets` is not installed, or the set is not on this machine and the hub not in reach.
    """
    try:
        import datasets
    except ImportError as error:
        raise UnavailableError(
            f"{place}: reading it needs the library `datasets`", "pip install 'edgesft[hub]'"
        ) from error
    found = _from_hub(place.name, place.configuration) if isinstance(place, HubAddress) else _from_folder(place)
    if not isinstance(found, datasets.Dataset):
        if split not in found:
            there = ", ".join(map(repr, found))
            raise InputError(f"{place}: must have the split {split!r}, got {there}", f"{place}#{next(iter(found))}")
        found = found[split]
    if not len(found):
        raise InputError(f"{place}#{split}: must hold at least one row, got none")
    return found


def rows(found: Any, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of a split, classes by their names.

    Args:
        found: A `datasets.Dataset`.
        wanted: Columns that suffice; where one of them is not there, the rows have all.
    """
    if set(wanted) <= set(found.column_names):
        found = found.select_columns(list(dict.fromkeys(wanted)))
    found = _undecoded(found)
    named = {column: name for column, feature in found.features.items() if (name := _names(feature))}
    for columns in found.iter(batch_size=CHUNK):
        told = {column: list(map(named[column], values)) if column in named else values
                for column, values in columns.items()}  # fmt: skip
        yield from (dict(zip(told, values, strict=True)) for values in zip(*told.values(), strict=True))


def _undecoded(found: Any) -> Any:
    """The same with pictures and sounds as `{bytes, path}`: who reads them decodes them."""
    import datasets

    for column, feature in found.features.items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            found = found.cast_column(column, type(feature)(decode=False))
    return found


def digest(found: Any) -> str:
    """Content digest of a split: of its Arrow files."""
    content = hashlib.sha256(repr((found.num_rows, sorted(found.features.items()))).encode())
    for file in found.cache_files:
        content.update(sha256(Path(file["filename"])).encode())
    return content.hexdigest()


# One process sees one version of a data set, and asks the hub for it once.
@functools.cache
def _from_hub(name: str, configuration: str | None) -> Mapping[str, Any]:
    with _readable_errors(f"hub://{name}", name):
        return _loaded(_snapshot(name) or name, configuration)


def _from_folder(folder: Path) -> Any:
    with _readable_errors(str(folder)):
        if any((folder / name).is_file() for name in SAVED):
            import datasets

            return datasets.load_from_disk(str(folder), keep_in_memory=False)
        return _loaded(str(folder), None)


def _loaded(place: str, configuration: str | None) -> Mapping[str, Any]:
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        found: Mapping[str, Any] = datasets.load_dataset(place, configuration, keep_in_memory=False)
    finally:
        if shown:
            datasets.enable_progress_bars()
    return found


def _snapshot(name: str) -> str | None:
    """Where `hf download` put the whole data set, which needs no hub then."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        place = Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    # `datasets` keeps files of a set there, too, perhaps not all: only where the hub's listing of them is beside them
    # was it looked whether one is missing.
    return str(place) if (place.parent.parent / "trees" / f"{place.name}.json").is_file() else None


@contextmanager
def _readable_errors(place: str, name: str | None = None) -> Iterator[None]:
    """What `datasets` raises, in the user's words."""
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    try:
        yield
    except DatasetNotFoundError as error:
        raise InputError(
            f"{place}: must be a data set that you may read, got: {error}",
            "check the spelling (owner/name); `hf auth login` if it is private or gated",
        ) from error
    except DatasetsError as error:
        raise InputError(f"{place}: must hold data files that can be read, got: {error.__cause__ or error}") from error
    except ValueError as error:
        # The library names the configurations that there are.
        said = " ".join(str(error).partition("\nExample")[0].split())
        raise InputError(f"{place}: {said}", f"{place}/CONFIGURATION" if name else "name one of its files") from error
    except RuntimeError as error:
        raise InputError(f"{place}: must hold data files, got: {error}", "convert it to parquet") from error
    except OSError as error:
        if name is None:
            raise InputError(f"{place}: cannot be read: {error}") from error
        raise UnavailableError(
            f"{place} is not on this machine and the hub cannot be reached",
            f"`hf download --repo-type dataset {name} --local-dir FOLDER` on a machine that can, and give the folder",
        ) from error


def _names(feature: Any) -> Callable[[Any], Any] | None:
    """What turns a value of a feature into the names of its classes; None where it has none."""
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        # An unlabelled row has -1.
        return lambda value: feature.names[value] if value is not None and value >= 0 else None
    inner = getattr(feature, "feature", None) or (feature[0] if isinstance(feature, list) and feature else None)
    if inner is not None and (named := _names(inner)):
        return lambda values: None if values is None else [named(value) for value in values]
    return None
