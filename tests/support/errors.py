"""The one line that every error is."""

import re

ERROR = re.compile(r"Error: (\S.* \S.*; \S.*)\n")


def error_line(stderr: str) -> str:
    """What stderr says after `Error: `, on its only line: where, what is wrong there, and what to do."""
    found = ERROR.fullmatch(stderr)
    assert found, stderr
    return found[1]
