"""Documents, messages, docstrings and comments avoid words that readers stumble over."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.project import REPOSITORY, SHIPPED

PAGES = sorted(
    path
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *(REPOSITORY / f"data/raw/{name}/README.md" for name in SHIPPED),
                 *REPOSITORY.glob(".github/**/*.*"), *REPOSITORY.glob("docs/recipes/*.yaml"),
                 *(REPOSITORY / name for name in ("Makefile", "params.yaml", "dvc.yaml"))]
)  # fmt: skip
CODE = sorted([*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "benchmarks").glob("*.py")])
WORDS = {
    r"(is|are|be) said": "Retrain prints, the error names, is reported",
    r"can('t)? be had": "is available, is not available",
    r"will not do": "X is Y; it must be Z",
    r"at hand": "available, in DVC's cache",
    r"way[_ ]out": "hint",
    r"surround(s|ed|ing|ings)?": "environment",
    r"mend(s|ed|ing)?": "fix, repair",
    r"of then|of now|than then": "original, current",
    r"tak(es?|ing) (no )?part": "answer, be available",
    r"knobs?": "parameter",
    r"belongs? into": "belongs in",
    r"(?-i:(?<![Tt]here )is none|(?<![Tt]here )are none)": "is not one; name the thing",
    r"last words": "final status",
    r"turn(s|ed)? (us )?down": "rejects",
    r"(see|said) above": "name the stage or the line",
    r"whoever|whatever": "anyone, any",
    r"a row a line|an array a file": "one row per line",
    r"goes on|go on": "continues, resumes",
    r"last bits?": "rounding, last digits",
    r"beside": "next to, compared with, in addition to",
    r"harm(s|ed|less)?": "break, damage, affect",
    r"pictures?": "plot, image",
    r"journals?": "checkpoint",
    r"done twice": "safe to repeat",
    r"can not": "cannot",
    r"multiplied with": "multiplied by",
    r"drips?": "sends too slowly",
    r"runs of (characters|bytes)": "character n-grams",
    r"campaigns?": "stress test",
    r"(other|others) than then": "different from the original",
    r"words? of errors": "texts of errors",
    r"stands? (in|at|on|there|before|among|twice|between|alone)": "is (in), appears",
    r"(lies|lie) (in|at|on|apart|there|within)": "is in, is located, differ by",
    r"(?-i:(?<![Tt]here )(is|are) no (?!longer|better|more|worse)\w+)": "is not a ...",
    r"other bytes|is another|are others": "different",
}
"""Patterns that have no legitimate use here, and what to write instead."""
ALLOWED = {
    r"make campaigns|-m campaign|\bcampaign:|not campaign|`campaigns`|campaigns: stress|stress campaigns|verify \w* campaigns": "the former name, the mark",
}
FORBIDDEN = re.compile(rf"\b({'|'.join(f'(?:{pattern})' for pattern in WORDS)})\b", re.IGNORECASE)


def findings(texts: Iterator[tuple[int, str]], path: Path) -> list[str]:
    """The places in numbered texts that have a word to avoid."""
    return [
        f"{path.relative_to(REPOSITORY)}:{line + text[: match.start()].count(chr(10))}: {match.group()!r}: {advice(match.group())}"
        for line, text in texts
        for match in FORBIDDEN.finditer(re.sub("|".join(ALLOWED), lambda allowed: " " * len(allowed.group()), text))
    ]


def advice(words: str) -> str:
    """What to write instead."""
    return next(better for pattern, better in WORDS.items() if re.fullmatch(pattern, words, re.IGNORECASE))


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """The comments and strings of a Python file, docstrings included, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_documents_avoid_these_words():
    assert [one for path in PAGES for one in findings(iter([(1, path.read_text(encoding="utf-8"))]), path)] == []


def test_code_avoids_these_words():
    assert [one for path in CODE for one in findings(texts_of(path.read_text(encoding="utf-8")), path)] == []


@pytest.mark.parametrize(
    "text",
    ["That is said.", "rows that can't be had", "mend the line", "the surroundings", "an error; see above", "WAY_OUT", "two knobs"],
)  # fmt: skip
def test_words_to_avoid_are_found(text):
    assert FORBIDDEN.search(text)
