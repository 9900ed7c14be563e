"""What a kit refuses, each with the exit code that edgesft gives it."""

from __future__ import annotations


class KitError(Exception):
    """What must be, what it got, and what to try."""

    code = 1


class BrokenError(KitError):
    """The bundle is not what it says it is, or answers otherwise than it did."""


class InputError(KitError):
    """What was asked for, or given, cannot be."""

    code = 2


class UnavailableError(KitError):
    """This device lacks what it takes."""

    code = 4
