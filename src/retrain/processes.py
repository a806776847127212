"""The processes above this one."""

import psutil

Ancestors = tuple[psutil.Process, ...]
"""Processes; they are equal where number and time of birth are, counted from the system's start: numbers are given again."""


def above() -> Ancestors:
    """The processes that started this one, the nearest first; those that have ended are not among them.

    A shell that runs one command for DVC may outlive DVC, so the nearest alone would tell nothing.
    """
    try:
        return tuple(psutil.Process().parents())
    except (psutil.Error, OSError):
        return ()
