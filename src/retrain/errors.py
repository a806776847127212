"""What a user can mend, said in one line: without secrets, without what a terminal would take for a command."""

import re

LONGEST = 1000
"""Characters of each part of an error; a file that is none could otherwise fill the screen."""

PASSWORD = re.compile(r"://(?:[^/@\s'\"]*|[^/@:\s'\"]*:(?!\d+/)[^@\s'\"]*)@")
"""User and password of a URL. Databases take passwords with a slash; after a port, one begins the path."""
QUERY = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\"]*[^\s'\",;:.)]")
"""A URL up to its query or fragment, and these."""
OUT_OF_MEMORY = (
    "allocate memory", "out of memory", "bad_alloc", "start new thread", "failed to map segment", "without exception set",
)  # fmt: skip
"""How libraries say that memory ran out, where they do not by a MemoryError."""


def without_secrets(text: str) -> str:
    """A text whose URLs name no user, no password and no query, which may be a token or a signature."""
    return QUERY.sub(r"\1?...", PASSWORD.sub("://", text))


def printable(text: str) -> str:
    r"""A text whose control characters are spelled out, such as `\x1b`: a terminal would take them for commands."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def one_line(text: str) -> str:
    """A text as a part of an error: on one line, of bounded length, printable, and without secrets."""
    line = printable(" ".join(without_secrets(text[: 2 * LONGEST]).split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


class RetrainError(Exception):
    """A mistake or a circumstance that the user can mend: no traceback, one line, exit code 1.

    Args:
        where: where it is: a file and line, a parameter's path, a command.
        fact: what is wrong there.
        hint: what to do about it.
    """

    def __init__(self, where: str, fact: str, hint: str) -> None:
        self.where, self.fact, self.hint = map(one_line, (where, fact, hint))
        super().__init__(f"{self.where}: {self.fact}; {self.hint}")


class UnavailableError(RetrainError):
    """Rows that can't be had now and may be had later: there is no network, or the server is down."""


def lack_of_memory(error: BaseException) -> str:
    """What an error, or what caused it, says of memory that ran out or of a limit on it; nothing where it is another."""
    said = f"{type(error).__name__} {error}"
    if isinstance(error, MemoryError) or any(words in said.lower() for words in OUT_OF_MEMORY):
        return said[-200:]
    earlier = error.__cause__ or error.__context__
    return lack_of_memory(earlier) if earlier else ""
