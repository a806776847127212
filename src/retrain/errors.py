"""What a user can mend, said in one line."""

import re


def without_passwords(text: str) -> str:
    """A text whose URLs name no user and no password."""
    return re.sub(r"://[^/@\s'\"]*@", "://", text)


class RetrainError(Exception):
    """A mistake or a circumstance that the user can mend: no traceback, one line, exit code 1.

    Args:
        place: where it is: a file and line, a knob's path, a command.
        fact: what is wrong there.
        way_out: what to do about it.
    """

    def __init__(self, place: str, fact: str, way_out: str) -> None:
        super().__init__(without_passwords(f"{place}: {fact}; {way_out}"))
        self.place = place
        self.fact = fact
        self.way_out = way_out


class UnavailableError(RetrainError):
    """Rows that can't be had now and may be had later: there is no network, or the server is down."""
