"""params.yaml, read once at the edge: strict, frozen, and with an error that names the knob."""

import difflib
import importlib
import json
import pkgutil
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar

from retrain import files
from retrain.errors import RetrainError, without_secrets

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

STAGES = ("prepare", "split", "train", "evaluate", "plot")
FILE = "params.yaml"
LONGEST = 1 << 22
"""Bytes of a YAML file; dvc.lock takes twelve thousand for a dataset."""
MOST = 400_000
"""Values in it, those that its aliases repeat counted each time."""
NO_YAML = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What ruamel.yaml lets through of what is no YAML, or no date, number or key, beside its own errors."""
LONGEST_NAME = 100
NAME = rf"\w[\w.-]{{0,{LONGEST_NAME - 1}}}"
"""A dataset's name. Folders and experiments are called like it, so it can't be a path, which could lead anywhere."""
KEY = rf"(?=.{{1,{LONGEST_NAME}}}$)\w[\w .:-]*(/\w[\w .:-]*)*"
"""A part of a parameter's name in MLflow, which takes no other signs, and slashes as a normal path has them."""


class Section(BaseModel):
    """Knobs of one stage or of one part: no defaults, no conversions, no unknown names."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def freeze_lists(cls, knobs: Any) -> Any:
        """YAML's lists become tuples, which a strict model does not do by itself."""
        if not isinstance(knobs, Mapping):
            return knobs
        return {name: tuple(value) if isinstance(value, list) else value for name, value in knobs.items()}


def in_order(knobs: dict[str, Any]) -> dict[str, Any]:
    """Knobs by name, `name` itself first: to DVC another order is no change, so it must be none in `model.json` either."""
    return dict(sorted(knobs.items(), key=lambda knob: (knob[0] != "name", knob[0])))


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves; raises ValueError where one stands among them twice."""
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return names


AnySection = TypeVar("AnySection", bound=Section)
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed that every generator takes."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""A part of a whole, which is never all of it."""
Chosen = Annotated[dict[str, Any], AfterValidator(in_order)]
"""The knobs of what a name chooses, which the file of that name checks; in one order, whichever params.yaml has."""
DatasetName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Threads = Annotated[int, Field(gt=0, le=1024)]
"""How many threads a model asks for; each takes memory of this machine."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""How many there are of something: few enough to be exact as a floating-point number."""
AtLeastOne = Annotated[int, Field(gt=0, lt=2**31)]
"""How many of something a knob asks for: a number that no library here turns down by a traceback."""
Number = Annotated[float, Field(ge=0, le=1e30)]
"""A factor in float32, which ends at 3e38: beyond it torch ends in a traceback."""
PositiveNumber = Annotated[float, Field(gt=0, le=1e30)]
"""The same, and not zero."""
Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(each_once)]
"""Columns, classes or words: at least one, and none twice."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'sgd'?`, or the list of what is known where nothing is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name[:LONGEST_NAME], known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"


def datasets(folder: Path) -> Mapping[str, Any]:
    """All dataset blocks of a folder's params.yaml, unchecked below their names.

    Raises:
        RetrainError: the file is missing, no YAML, or holds no dataset.
    """
    content = load_yaml(folder / FILE, FILE, f"it is not in {folder}: run this inside the repository")
    blocks = content.get("datasets") if isinstance(content, Mapping) else None
    if not isinstance(blocks, Mapping) or not blocks:
        raise RetrainError(FILE, "has no dataset", "add one below 'datasets:'")
    return blocks


def load_yaml(path: Path, place: str, way_out: str, yaml: YAML | None = None) -> Any:
    """What a YAML file holds; `yaml`, if given, reads it.

    Raises:
        RetrainError: it is missing (`way_out` says what to do then), unreadable, or not what `parsed` takes.
    """
    files.must_not_be_endless(path, way_out)
    try:
        with path.open("rb") as file:
            return parsed(file.read(LONGEST + 1), place, yaml or YAML(typ="safe"))
    except FileNotFoundError:
        raise RetrainError(place, "is missing", way_out) from None


def parsed(content: bytes, place: str, yaml: YAML) -> Any:
    """The value that YAML spells.

    Raises:
        RetrainError: it is no YAML, or more of it than knobs are.
    """
    if len(content) > LONGEST:
        raise RetrainError(place, f"is larger than {LONGEST:,} bytes", "take out what is not needed")
    try:
        text = content.decode()
        must_be_shallow(text)
        value = yaml.load(text)
        must_be_small(value)
    except (YAMLError, *NO_YAML) as error:
        fact = " ".join(str(error).split())
        raise RetrainError(place, f"is not valid YAML ({fact})", "mend the line that it names") from None
    return value


def must_be_shallow(text: str) -> None:
    """Raise ValueError where YAML is nested too deep: the loader in C calls itself for each level, and would crash."""
    depth = 0
    for event in YAML(typ="safe").parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > files.DEEPEST:
            raise ValueError(f"it holds more than {files.DEEPEST} lists and mappings inside each other")


def must_be_small(value: Any) -> None:
    """Raise ValueError where a value holds more parts than any params do, or itself.

    A few lines can hold billions of values: their aliases are followed by whoever walks them.
    """
    waiting: list[tuple[Any, int]] = [([value], 0)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        count += len(part)
        if depth > files.DEEPEST or count > MOST:
            raise ValueError(f"with its aliases it holds more than {MOST:,} values, or itself")
        children = part.values() if isinstance(part, Mapping) else part
        waiting.extend((child, depth + 1) for child in children if isinstance(child, list | tuple | set | Mapping))


def round_trip() -> YAML:
    """A reader and writer of YAML that keeps comments, order and line breaks."""
    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    null = "tag:yaml.org,2002:null"
    yaml.representer.add_representer(type(None), lambda writer, _: writer.represent_scalar(null, "null"))
    return yaml


def dataset_block(folder: Path, dataset: str) -> Mapping[str, Any]:
    """One dataset's block: a mapping with exactly the five stages as keys.

    Raises:
        RetrainError: no such dataset, or a stage's section is missing or misspelt.
    """
    blocks = datasets(folder)
    if dataset not in blocks:
        raise RetrainError(f"{FILE}: datasets", f"unknown dataset '{dataset}'", nearest(dataset, map(str, blocks)))
    if not re.fullmatch(NAME, dataset):
        way_out = "use up to 100 letters, digits, '_', '-' and '.', and begin with none of the last two"
        raise RetrainError(f"{FILE}: datasets", f"{shown(dataset)} will not do as a name", way_out)
    block = blocks[dataset]
    place = f"{FILE}: datasets.{dataset}"
    if not isinstance(block, Mapping):
        raise RetrainError(place, "is not a mapping", f"give it the sections {', '.join(STAGES)}")
    for name in block:
        if name not in STAGES:
            raise RetrainError(place, f"unknown section '{name}'", nearest(str(name), STAGES))
    for stage in STAGES:
        if stage not in block:
            raise RetrainError(place, f"section '{stage}' is missing", "add it")
    return block


def check(knobs: Any, model: type[AnySection], place: str) -> AnySection:
    """Validate knobs against their model.

    Args:
        knobs: what YAML or JSON gave.
        model: the section's model.
        place: the knobs' path, for the error.

    Raises:
        RetrainError: a knob is unknown, missing or mistyped.
    """
    try:
        return model.model_validate(knobs)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # An unknown name explains a missing one, not the other way round.
        first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
        raise knob_error(first, knobs, model, place) from None


def knob_error(detail: ErrorDetails, knobs: Any, model: type[Section], place: str) -> RetrainError:
    """The one line that says which knob is wrong, how, and what would be right."""
    names = [str(part) for part in detail["loc"]]
    kind, context = detail["type"], detail.get("ctx", {})
    knob = ".".join([place, *written(names, knobs)])
    if kind == "extra_forbidden":
        parent = ".".join([place, *written(names[:-1], knobs)])
        return RetrainError(parent, f"unknown knob '{names[-1]}'", nearest(names[-1], known_knobs(model, names[:-1])))
    if kind in ("missing", "union_tag_not_found"):
        absent = names[-1] if kind == "missing" else "name"
        return RetrainError(f"{knob}.{absent}", "is missing", "add it: knobs have no defaults")
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return RetrainError(f"{knob}.name", f"unknown '{context['tag']}'", nearest(context["tag"], tags))
    if kind == "literal_error":
        options = [option.strip(" '") for option in context["expected"].replace(" or ", ",").split(",")]
        unknown = shown(detail["input"]).strip("'")
        return RetrainError(knob, f"unknown '{unknown}'", nearest(unknown, options))
    if kind == "value_error":
        return RetrainError(knob, detail["msg"].removeprefix("Value error, "), "make the knobs agree")
    way_out = re.sub(r"^\w+ should", "it should", detail["msg"]).replace("tuple", "list")
    return RetrainError(knob, f"{shown(detail['input'])} will not do", way_out)


def written(names: list[str], knobs: Any) -> list[str]:
    """The part of a path that stands in the file: pydantic also names the member of a union that it tried."""
    found = []
    for name in names:
        children = dict(enumerate(knobs)) if isinstance(knobs, list | tuple) else knobs
        here = {str(key): value for key, value in children.items()} if isinstance(children, Mapping) else {}
        if name in here:
            found.append(name)
            knobs = here[name]
    return found


def shown(value: Any) -> str:
    """A value as the error shows it: short, on one line.

    A YAML value that names another one twice, which names another one twice, has no end; it is never written out.
    """
    if isinstance(value, int) and value.bit_length() > LONGEST_NAME:
        return f"a number of {value.bit_length():,} bits"
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 10 * LONGEST_NAME
    return shortened(" ".join(brief.repr(value).split()), 60)


def shortened(text: str, length: int) -> str:
    """A text of an error, of at most so many characters; a secret goes first, because its end tells that it is one."""
    text = without_secrets(text)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested knobs as `train.loop.learning_rate` -> text; a mapping whose keys will not do as names is one text."""
    if isinstance(value, Mapping) and all(re.fullmatch(KEY, str(name)) for name in value):
        return {k: v for name, child in value.items() for k, v in flat(child, f"{prefix}{name}.").items()}
    if isinstance(value, list | tuple | Mapping):
        return {prefix[:-1]: json.dumps(value, ensure_ascii=False, sort_keys=True)}
    return {prefix[:-1]: str(value)}


def known_knobs(model: type[Section], path: list[str]) -> Iterable[str]:
    """The names that a model knows at a path of knobs; a part of the path may be a union's tag."""
    models: list[Any] = [model]
    for part in path:
        fields = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if fields:
            models = [m for field in fields for m in section_models(field)]
        else:
            models = [m for m in models if "name" in m.model_fields and part in str(m.model_fields["name"].annotation)]
    return {name for m in models for name in m.model_fields}


def section_models(annotation: Any) -> list[type[Section]]:
    """The section models that an annotation names: itself, or the members of its union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [m for member in getattr(annotation, "__args__", ()) for m in section_models(member)]


def read(folder: Path, dataset: str, stage: str, model: type[AnySection]) -> AnySection:
    """One stage's section of one dataset.

    Raises:
        RetrainError: see `dataset_block` and `check`.
    """
    return check(dataset_block(folder, dataset)[stage], model, place(dataset, stage))


def place(dataset: str, stage: str) -> str:
    """How errors name a section."""
    return f"{FILE}: datasets.{dataset}.{stage}"


def choose(package: str, name: Any, place: str) -> ModuleType:
    """The module that a knob names: `choose("retrain.encoders", "text", ...)`. A new choice is a new file.

    Args:
        package: the package whose modules are the choices.
        name: the knob's value.
        place: the knob's path, for the error.

    Raises:
        RetrainError: the knob is missing, or there is no such module.
    """
    if name is None:
        raise RetrainError(place, "is missing", "add it: knobs have no defaults")
    known = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    if name not in known:
        unknown = shown(name).strip("'")
        raise RetrainError(place, f"unknown '{unknown}'", nearest(unknown, known))
    return importlib.import_module(f"{package}.{name}")
