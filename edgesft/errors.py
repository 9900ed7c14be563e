"""All exceptions. A message names the field, what it must be and what it got; a hint names what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One problem with the user's input.

    Attributes:
        message: The field, what it must be, and what it got.
        hint: What to try, or None.
        where: Place in the user's file (`recipe.yaml:12 stages.0.epochs`), or None.
    """

    message: str
    hint: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n    Try: {self.hint}" if self.hint else text


class EdgesftError(Exception):
    """Base class of all errors that edgesft raises on purpose."""

    exit_code = 1


class InputError(EdgesftError):
    """The user's input is wrong. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Problem | str | Sequence[Problem], hint: str | None = None) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, hint)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnavailableError(EdgesftError):
    """This environment cannot do it: a provider, a device, a disk or a package is missing."""

    exit_code = 4

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.problem = Problem(message, hint)
        super().__init__(str(self.problem))


class StageError(EdgesftError):
    """A stage's result is not what it should be (parity, dtypes, size)."""
