"""Tasks by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgesft.errors import InputError
from edgesft.tasks.registry import TASKS, task
from edgesft.tasks.text_classification import TextClassification


def test_every_task_is_found_under_its_own_name() -> None:
    assert isinstance(task("text-classification"), TextClassification)
    assert all(task(name).name == name for name in TASKS)


def test_a_task_is_imported_where_it_is_asked_for() -> None:
    code = """
import sys
from edgesft.tasks.registry import PLACES, TASKS, task
assert sorted(TASKS) and "arrays" in TASKS and task("text-classification")
print(*{file for file, _ in PLACES.values() if f"edgesft.tasks.{file}" in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["text_classification"]


def test_unknown_task_names_the_nearest_and_all() -> None:
    with pytest.raises(InputError) as caught:
        task("text-clasification")
    assert f"must be one of {', '.join(sorted(TASKS))}, got 'text-clasification'" in str(caught.value)
    assert "Try: 'text-classification'" in str(caught.value)
