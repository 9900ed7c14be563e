"""What lies beside an ONNX file that others made: its configuration, its tokenizer, the names of its classes.

Optimum writes `model.onnx` beside what transformers saves, hubs often put it one folder below, and Olive writes
`model_config.json`, which has the configuration in it and says where the pretrained model was
(https://microsoft.github.io/Olive, ONNXModelHandler).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from edgesft.errors import InputError
from edgesft.tasks.models import checkpoint, preprocessor

CONTRACT = "contract.json"
OLIVE = "model_config.json"
SUFFIX = ".onnx"

BELOW = ("onnx", "model")
"""Folders that the file may lie in, below the one that is named."""


def is_file(place: Path) -> bool:
    """Whether it is an ONNX file, or a folder that has one and no weights that could be trained."""
    if place.is_dir():
        here = [file for folder in (place, *(place / name for name in BELOW)) for file in folder.glob(f"*{SUFFIX}")]
        return bool(here) and not any(place.glob("*.safetensors")) and not any(place.glob("*.bin"))
    return place.is_file() and place.suffix == SUFFIX


def model_file(place: Path) -> Path:
    """The ONNX file of a folder: the one that Olive names, or the only one there.

    Raises:
        InputError: There is none, or several and nothing says which.
    """
    said = _olive(place).get("model_path")
    # A path of whichever machine and system Olive ran on: its last part is the file's name here.
    named = [place / PureWindowsPath(str(said)).name] if said else []
    for folder in (place, *(place / name for name in BELOW)):
        found = [file for file in named if file.is_file()] or sorted(folder.glob(f"*{SUFFIX}"))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(str(file.relative_to(place)) for file in found)
            raise InputError(f"model.onnx: must be one file, '{place}' has {names}", f"onnx: {found[0]}")
    raise InputError(
        f"model.onnx: '{place}' must hold an ONNX file, got none", "the folder that Olive or Optimum wrote"
    )


def folder(file: Path, named: Path | None = None) -> Path:
    """Where the rest lies: the folder that is named, else the first around the file that has any of it."""
    return named or next((place for place in _around(file) if _has(place)), file.parent)


def configuration(file: Path, place: Path) -> dict[str, Any]:
    """As `config.json` has it, of the file itself where Olive says it; empty where nothing does.

    Raises:
        InputError: It is damaged.
    """
    said = next((found for each in _near(file) if (found := _olive(each).get("model_attributes"))), None)
    return dict(said) if isinstance(said, Mapping) else checkpoint.read_json(place / checkpoint.CONFIG)


def labels(config: Mapping[str, Any], place: Path) -> tuple[str, ...]:
    """The classes in the order of the file's scores, as far as somebody named them; else empty."""
    if said := checkpoint.read_json(place / CONTRACT).get("labels"):
        return tuple(map(str, said))
    named = config.get("id2label") or {}
    found = tuple(str(named[number]) for number in sorted(named, key=int))
    return () if all(checkpoint.UNNAMED.fullmatch(label) for label in found) else found


def _near(file: Path) -> list[Path]:
    return [file.parent, file.parent.parent]


def _around(file: Path) -> Iterator[Path]:
    yield from _near(file)
    for place in _near(file):
        # Where the pretrained model was; of a relative path nobody knows where it began.
        origin = Path(str((_olive(place).get("model_attributes") or {}).get("_name_or_path", "")))
        yield from [origin] if origin.is_absolute() else []


def _has(place: Path) -> bool:
    return any((place / name).is_file() for name in (*checkpoint.TOKENIZERS, preprocessor.FILE, CONTRACT))


def _olive(place: Path) -> dict[str, Any]:
    said = checkpoint.read_json(place / OLIVE).get("config")
    return said if isinstance(said, dict) else {}
