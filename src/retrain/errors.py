"""Errors that a user can fix, each as one line without secrets and without control characters."""

import errno
import re

__all__ = [
    "SYSTEM_ERRORS",
    "RetrainError",
    "UnavailableError",
    "hint_of",
    "lack_of_memory",
    "one_line",
    "printable",
    "sentence",
    "without_secrets",
]


LONGEST = 1000
"""Characters of each part of an error; a damaged file could otherwise fill the screen."""
VERBS = (
    "is", "are", "was", "were", "has", "have", "had", "does", "do", "did", "can", "can't", "cannot", "could",
    "must", "may", "needs", "need", "answers", "contains", "declares", "depends", "describes", "differs",
    "ends", "exceeds", "expects", "failed", "fails", "gives", "holds", "keeps", "lacks", "leads", "matches",
    "mentions", "names", "reads", "redirects", "repeats", "sends", "starts", "stopped", "takes", "uses",
)  # fmt: skip
"""First words of a fact whose subject is `where`: `rows.csv is empty`, but `rows.csv: class 'a' has one row`."""

PASSWORD = re.compile(r"://(?:[^/@\s'\"]*|[^/@:\s'\"]*:(?!\d+/)[^@\s'\"]*)@")
"""User and password of a URL. Passwords of databases may hold a slash; after a port, a slash starts the path."""
QUERY = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\"]*[^\s'\",;:.)]")
"""A URL up to its query or fragment, which is matched too."""
OUT_OF_MEMORY = (
    "allocate memory", "out of memory", "bad_alloc", "start new thread", "failed to map segment", "without exception set",
)  # fmt: skip
"""Messages of libraries that ran out of memory without raising MemoryError."""
SYSTEM_ERRORS = {
    errno.ENOENT: ("does not exist", "check the path"),
    errno.EACCES: ("can't be opened (permission denied)", "check its permissions: ls -ld {}"),
    errno.EPERM: ("can't be changed (operation not permitted)", "check its permissions: ls -ld {}"),
    errno.ENOSPC: ("can't be written: no space left on the disk", "make room; to see where, run: df -h"),
    errno.EDQUOT: ("can't be written: the disk quota is exceeded", "make room; to see where, run: df -h"),
}
"""Facts and hints for common errors of the system, whose own messages don't say what to do."""


def without_secrets(text: str) -> str:
    """A text with the user, password and query removed from its URLs; a query may hold a token or a signature."""
    return QUERY.sub(r"\1?...", PASSWORD.sub("://", text))


def printable(text: str) -> str:
    r"""A text with its control characters escaped, such as `\x1b`: a terminal would execute them."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def one_line(text: str) -> str:
    """A text as part of an error: one line of bounded length, printable, without secrets."""
    line = printable(" ".join(without_secrets(text[: 2 * LONGEST]).split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def sentence(where: str, fact: str) -> str:
    """A place and what is wrong there; `where` is the subject if the fact starts with a verb of `VERBS`."""
    return f"{where}{' ' if fact.partition(' ')[0] in VERBS else ': '}{fact}"


class RetrainError(Exception):
    """A problem that the user can fix: printed as one line without a traceback, with exit code 1.

    Args:
        where: a file and line, a parameter's path, or a command.
        fact: what is wrong there; see `sentence`.
        hint: what to do about it: a command or a value.
    """

    def __init__(self, where: str, fact: str, hint: str) -> None:
        self.where, self.fact, self.hint = map(one_line, (where, fact, hint))
        super().__init__(f"{sentence(self.where, self.fact)}; {self.hint}")


class UnavailableError(RetrainError):
    """Data that is not here now and may be later: a file is missing, there is no network, or the server is down."""


def lack_of_memory(error: BaseException) -> str:
    """The message of an error, or of its cause, that says that memory ran out; empty for any other error."""
    message = f"{type(error).__name__} {error}"
    if isinstance(error, MemoryError) or any(words in message.lower() for words in OUT_OF_MEMORY):
        return message[-200:]
    earlier = error.__cause__ or error.__context__
    return lack_of_memory(earlier) if earlier else ""


def hint_of(error: BaseException, path: str) -> str:
    """What to do about an error of the system at a path; the path may be empty."""
    known = isinstance(error, OSError) and path and SYSTEM_ERRORS.get(error.errno or 0)
    return known[1].format(path) if known else "check the path, its permissions and the free space (df -h)"
