"""The processes above this one."""

import psutil

Ancestors = tuple[tuple[int, float], ...]
"""Processes, each by its number and the time when it began: numbers are given again."""


def above() -> Ancestors:
    """The processes that started this one, the nearest first; those that have ended are not among them.

    A shell that runs one command for DVC may outlive DVC, so the nearest alone would tell nothing.
    """
    try:
        return tuple((process.pid, process.create_time()) for process in psutil.Process().parents())
    except (psutil.Error, OSError):
        return ()
