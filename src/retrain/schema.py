"""Models of parameters: strict and frozen, with an error that names every wrong parameter of a section."""

import difflib
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args

from retrain.errors import RetrainError, sentence, without_secrets

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

__all__ = [
    "INVISIBLE",
    "LONGEST_NAME",
    "NAME",
    "RENAMED",
    "AnySection",
    "AtLeastOne",
    "Chosen",
    "Count",
    "DatasetName",
    "Names",
    "Number",
    "PositiveNumber",
    "Problem",
    "Section",
    "Seed",
    "Share",
    "Threads",
    "check",
    "column_name",
    "combined",
    "composed",
    "enumerated",
    "in_order",
    "missing_parameter",
    "nearest",
    "nearest_name",
    "renaming",
    "shortened",
    "shown",
    "some_of",
    "unknown_name",
    "unknown_value",
]


LONGEST_NAME = 100
NAME = rf"[A-Za-z][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}"
"""A dataset's name: what `dvc exp run -S` and DVC's parameter paths take, which is also safe as the name of a folder."""
RENAMED = {
    "split.inputs": "encoder.name",
    "split.target": "task",
    "encoder.minimum_ratio": "min_log_ratio",
    "encoder.bits": "hash_bits",
    "encoder.characters": "char_ngrams",
    "network.width": "embedding_dim",
    "network.initial_range": "embedding_init",
}
"""The ends of paths of old parameters, and the new names in the same section."""
RENAMED_TASKS = {"label": "classification", "number": "regression"}
"""The old values of `split.target`, and those of `split.task`."""
MISSING = "is missing"
CORRECT = "correct the value"
QUOTES = "'\""
QUOTED = re.compile("'([^']*)'")
PLAIN = re.compile(r"true|false|[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
"""A number or a truth value, as YAML spells it."""
TYPES = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""What pydantic's errors of these types ask for."""
BREAK = re.compile(r"\s*\n\s*|[\xa0\u2000-\u200a\u202f\u205f\u3000]")
"""A line break, or a space that looks like a usual one."""
INVISIBLE = re.compile(r"[\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe0e\ufe0f\ufeff]")
"""Hints for layout: where a line may break, which way a text runs, whether a sign has colours. U+200C and U+200D are not among them: words and emoji need them."""
BETWEEN_WORDS = re.compile(
    "(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b(?=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])"
)
"""What separates words, like a space, in Thai, Lao, Burmese and Khmer."""
KINDS: dict[type, str] = {str: "the text ", Mapping: "the mapping ", list: "the list ", tuple: "the list "}


class Section(BaseModel):
    """Parameters of a stage or of a part of it: no defaults, no conversions, no unknown names."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def freeze_lists(cls, parameters: Any) -> Any:
        """Turn YAML's lists into tuples, which a strict model does not do."""
        if not isinstance(parameters, Mapping):
            return parameters
        return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


def in_order(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters sorted by name, with `name` first. DVC ignores their order, so it must not change `model.json`."""
    return dict(sorted(parameters.items(), key=lambda parameter: (parameter[0] != "name", parameter[0])))


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names; raises ValueError if one of them is repeated."""
    seen: set[str] = set()
    for name in names:  # a vocabulary is long: looking through all earlier names would take minutes
        if name in seen:
            raise ValueError(f"names {shown(name)} twice; remove one of them")
        seen.add(name)
    return names


AnySection = TypeVar("AnySection", bound=Section)
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that every random generator takes."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""A fraction of a whole, less than all of it."""
Chosen = Annotated[dict[str, Any], AfterValidator(in_order)]
"""The parameters of a part that is chosen by its `name`, sorted. The module of that name checks them."""
DatasetName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Threads = Annotated[int, Field(gt=0, le=1024)]
"""The number of threads that a model asks for. Each of them takes memory."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""A count that is exact as a floating-point number."""
AtLeastOne = Annotated[int, Field(gt=0, lt=2**31)]
"""A positive count that fits the 32-bit integers of the libraries."""
Number = Annotated[float, Field(ge=0, le=1e30)]
"""A factor that fits float32, whose largest number is 3e38."""
PositiveNumber = Annotated[float, Field(gt=0, le=1e30)]
"""A factor that fits float32 and is not zero."""
Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(each_once)]
"""Columns, classes or words: at least one, and none of them repeated."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint for an unknown name: `did you mean 'sgd'?`, or a list of all known names if none is similar."""
    known = sorted(known)
    near = nearest_name(name, known)
    return f"did you mean '{near}'?" if near else f"known are: {', '.join(known)}"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to an unknown one, apart from case, if any is similar."""
    folded = {one.casefold(): one for one in sorted(known)}
    close = difflib.get_close_matches(name[:LONGEST_NAME].casefold(), folded, n=1)
    return folded[close[0]] if close else None


@dataclass(frozen=True)
class Problem:
    """What is wrong with one parameter of a section."""

    path: str
    """Its place below the section, such as `loop.epochs`; empty for the section itself."""
    fact: str
    hint: str

    @property
    def clause(self) -> str:
        """The same as a part of an error that names several problems."""
        fact = sentence(self.path, self.fact) if self.path else self.fact
        return fact if self.hint == CORRECT else f"{fact} ({self.hint})"


def check(parameters: Any, model: type[AnySection], where: str, hint: str = "") -> AnySection:
    """Validate parameters against their model.

    Args:
        parameters: the value read from YAML or JSON.
        model: the section's model.
        where: the section's path, for the error.
        hint: what to do about any problem, if it is not to correct it in the file.

    Raises:
        RetrainError: names every parameter that is unknown, renamed, missing or wrong.
    """
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        details = error.errors(include_url=False)
        names, values = name_problems(details, parameters, model, where), value_problems(details, parameters, model)
        # A union reports one problem per member; the first member is the usual one.
        found = [*names, *{problem.path: problem for problem in reversed(list(values))}.values()]
        raise combined(found, where, hint) from None


def combined(problems: Sequence[Problem], where: str, hint: str = "") -> RetrainError:
    """One error that names all problems of a section; `hint` replaces their own hints."""
    if len(problems) == 1:
        (only,) = problems
        return RetrainError(joined(where, only.path), only.fact, hint or only.hint)
    missing = [problem.path for problem in problems if problem.fact == MISSING]
    clauses = [problem.clause for problem in problems if problem.fact != MISSING]
    if missing:
        clauses.append(f"{enumerated(missing)} {'are' if len(missing) > 1 else 'is'} missing")
    them = "them" if len(missing) > 1 else "it"
    add = f"add {them}: neither the block nor 'defaults' has {them}"
    return RetrainError(where, ", and ".join(clauses), hint or (add if len(clauses) == 1 else "correct each of them"))


def enumerated(words: Sequence[str]) -> str:
    """Words as an English list: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def some_of(names: Sequence[str]) -> str:
    """Names that come from data, in quotes, at most ten of them: `'a', 'b' and 298 more`."""
    most = 10
    listed = [f"'{shortened(name, 40)}'" for name in names[:most]]
    more = [f"{len(names) - most:,} more"] if len(names) > most else []
    return enumerated([*listed, *more])


def joined(*names: str) -> str:
    """A path from its parts, without the empty ones."""
    return ".".join(filter(None, names))


def name_problems(
    details: Sequence[ErrorDetails], parameters: Any, model: type[Section], where: str
) -> Iterator[Problem]:
    """Unknown, renamed and missing names. A name that is replaced by the hint for another one is not missing as well."""
    missing = [
        (
            joined(*written([*map(str, detail["loc"])], parameters)),
            str(detail["loc"][-1]) if detail["type"] == "missing" else "name",
        )
        for detail in details
        if detail["type"] in ("missing", "union_tag_not_found")
    ]
    for detail in details:
        if detail["type"] != "extra_forbidden":
            continue
        *parents, name = map(str, detail["loc"])
        parent = joined(*written(parents, parameters))
        if new := renamed(joined(where, parent, name)):
            problem = renaming(joined(parent, name), new, detail["input"])
        else:
            known = known_names(model, parents)
            new = nearest_name(name, known) or ""
            problem = unknown_name("parameter", parent, name, known)
        missing = [pair for pair in missing if pair != (parent, new.split(".")[0])]
        yield problem
    for parent, name in missing:
        yield missing_parameter(joined(parent, name))


def missing_parameter(path: str) -> Problem:
    """The problem of a parameter that is not there; `combined` makes one clause of several of them."""
    return Problem(path, MISSING, "add it: neither the block nor 'defaults' has it")


def unknown_name(kind: str, parent: str, name: str, known: Iterable[str]) -> Problem:
    """The problem of a parameter or a section that its parent does not have."""
    return Problem(parent, f"unknown {kind} '{name}'", nearest(name, known))


def renamed(path: str) -> str:
    """The new name of a parameter whose path ends with an old one; empty if it was not renamed."""
    return next((new for old, new in RENAMED.items() if path.endswith(f".{old}")), "")


def renaming(path: str, new: str, value: Any) -> Problem:
    """The problem of a parameter with an old name."""
    parent, _, name = path.rpartition(".")
    value = RENAMED_TASKS.get(value, value) if new == "task" and isinstance(value, str) else value
    return Problem(parent, f"'{name}' is now called '{new}'", f"write {new}: {shown(value).strip(QUOTES)}")


def value_problems(details: Sequence[ErrorDetails], parameters: Any, model: type[Section]) -> Iterator[Problem]:
    """Parameters whose value is not one that the model takes."""
    for detail in details:
        kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
        path = joined(*written([*map(str, detail["loc"])], parameters))
        if kind in ("extra_forbidden", "missing", "union_tag_not_found"):
            continue
        if kind == "union_tag_invalid":
            yield unknown_value(joined(path, "name"), context["tag"], QUOTED.findall(context["expected_tags"]))
        elif kind == "literal_error":
            yield unknown_value(path, value, QUOTED.findall(context["expected"]) or [context["expected"]])
        elif kind == "value_error":
            fact, _, hint = str(context["error"]).partition("; ")
            yield Problem(path, fact, hint or CORRECT)
        else:
            must = f"be {TYPES[kind]}" if kind in TYPES else detail["msg"].rpartition(" should ")[2]
            nullable = takes_null(model, [*map(str, detail["loc"])])
            fact = f"is {described(value)}, but must {must}{' or null' if nullable else ''}"
            yield Problem(path, fact, hint_for(value, kind, nullable=nullable))


def unknown_value(path: str, value: Any, known: Iterable[str]) -> Problem:
    """The problem of a value that is not one of the known ones."""
    unknown = shown(value).strip(QUOTES)
    return Problem(path, f"unknown '{unknown}'", nearest(unknown, known))


def described(value: Any) -> str:
    """A value as part of a sentence: `the text '0.15'`."""
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    kind = next((word for kind, word in KINDS.items() if isinstance(value, kind)), "")
    return f"{kind}{shown(list(value) if isinstance(value, tuple) else value)}"


def hint_for(value: Any, kind: str, *, nullable: bool) -> str:
    """What to do about a value of the wrong type or out of range."""
    if nullable and isinstance(value, str) and value.lower() == "none":
        return "write null"
    if kind == "tuple_type" and isinstance(value, str):
        return f"write [{shown(value).strip(QUOTES)}]"
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str) and PLAIN.fullmatch(value):
        return "remove the quotes"
    return "put it in quotes" if kind == "string_type" and isinstance(value, int | float) else CORRECT


def written(names: Sequence[str], parameters: Any) -> list[str]:
    """The names of a path that are in the file. Pydantic also names the member of a union that it tried."""
    found = []
    for name in names:
        children = dict(enumerate(parameters)) if isinstance(parameters, list | tuple) else parameters
        here = {str(key): value for key, value in children.items()} if isinstance(children, Mapping) else {}
        if name in here:
            found.append(name)
            parameters = here[name]
    return found


def shown(value: Any) -> str:
    """A value as an error shows it: on one line and short, however large the value is."""
    if isinstance(value, int) and value.bit_length() > LONGEST_NAME:
        return f"a number of {value.bit_length():,} bits"
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 10 * LONGEST_NAME
    return shortened(" ".join(brief.repr(value).split()), 60)


def composed(text: str) -> str:
    """A text in Unicode's NFC form, where an accent is part of its letter, without invisible signs that mean nothing."""
    if text.isascii():
        return text
    if INVISIBLE.search(text):
        text = "\u200b".join(INVISIBLE.sub("", part) for part in BETWEEN_WORDS.split(text))
    return unicodedata.normalize("NFC", text)


def column_name(text: str) -> str:
    """The name of a column as it is compared: see `composed`; a line break and any kind of space are a space, and none is around it."""
    return BREAK.sub(" ", composed(text)).strip()


def shortened(text: str, length: int) -> str:
    """A text of at most `length` characters. Secrets are removed first, because cutting could make them unrecognisable."""
    text = without_secrets(text)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def known_names(model: type[Section], path: list[str]) -> Iterable[str]:
    """The names that a model knows at a path of parameters."""
    return {name for found in models_at(model, path) for name in found.model_fields}


def takes_null(model: type[Section], path: list[str]) -> bool:
    """Whether the parameter at a path may be null."""
    fields = [found.model_fields.get(path[-1]) for found in models_at(model, path[:-1])] if path else []
    return any(field is not None and type(None) in get_args(field.annotation) for field in fields)


def models_at(model: type[Section], path: list[str]) -> list[type[Section]]:
    """The models of the section at a path of parameters. A part of the path may be the tag of a union."""
    models: list[Any] = [model]
    for part in path:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if fields:
            models = [m for field in fields for m in section_models(field)]
        else:
            models = [
                m for m in models if "name" in m.model_fields and part in get_args(m.model_fields["name"].annotation)
            ]
    return models


def section_models(annotation: Any) -> list[type[Section]]:
    """The section models in an annotation: itself, or the members of its union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [m for member in get_args(annotation) for m in section_models(member)]
