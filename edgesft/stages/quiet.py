"""Keeps libraries that print, log and warn at every step from hiding what a person wants to read."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

KEPT_CHARACTERS = 2000
"""How much of what was said is kept for an error: the last lines say why."""


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed, logged or warned inside; what was said is added as a note to an exception that leaves.

    Logging is as before afterwards, whatever handlers or levels the libraries set on the root logger meanwhile.
    """
    said = io.StringIO()
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        if text := said.getvalue().strip():
            error.add_note(text[-KEPT_CHARACTERS:])
        raise
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
