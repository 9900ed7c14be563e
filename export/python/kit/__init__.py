"""Opens a bundle that `edgesft pack` made, on a device that has numpy and onnxruntime.

import kit

opened = kit.open_bundle("sentiment.zip")
opened.answer({"text": "a lovely film"})  # {'label': 'positive', 'score': 0.98}
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.bundle import Bundle

if TYPE_CHECKING:
    from kit.application import Kit

if lost := sorted(each.name for each in Path(__file__).parent.glob("*.py") if not each.exists()):
    raise ImportError(f"kit: {', '.join(lost)}: links whose files were not copied with them: copy by cp -rL")


def open_bundle(path: str | Path, providers: Sequence[str] = (), threads: int = 1, *, raw: bool = False) -> Kit:
    """A bundle that is whole, with the model that this device takes.

    Args:
        path: Folder or archive.
        providers: That may run the model, the best first, each a name or `NAME:option=value,…`; by default all that the
            runtime has of its own.
        threads: Of an inference.
        raw: Whether to take the raw model, which makes its own inputs and the answer.

    Raises:
        InputError: There is no such bundle.
        BrokenError: It is not what it says it is.
        UnavailableError: No variant is for this device.
    """
    bundle, failures = Bundle(path), list[Exception]()

    def check() -> None:
        try:
            bundle.check()
        except Exception as error:  # an exception of a thread is otherwise lost
            failures.append(error)

    # Digests are taken while numpy and ONNX Runtime are loaded, which takes longer.
    checking = threading.Thread(target=check)
    checking.start()
    from kit.application import Kit

    checking.join()
    if failures:
        raise failures[0]
    return Kit(bundle, providers, threads, whole=raw)
