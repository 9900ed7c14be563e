from __future__ import annotations

import logging
import sys
import warnings

import pytest

from edgesft.stages.quiet import quiet


def test_nothing_is_said_and_logging_is_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level, root.manager.disable
    with quiet():
        sys.stdout.write("printed")
        sys.stderr.write("printed")
        logging.basicConfig(level=logging.DEBUG, force=True)
        logging.error("logged")
        warnings.warn("warned", stacklevel=1)
    assert capfd.readouterr() == ("", "")
    assert (list(root.handlers), root.level, root.manager.disable) == before


def test_an_error_carries_what_was_said() -> None:
    with pytest.raises(ValueError, match="broken") as caught, quiet():
        sys.stdout.write("because of this")
        raise ValueError("broken")
    assert "because of this" in caught.value.__notes__[0]
