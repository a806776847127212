"""Models of parameters: strict and frozen, with an error that names the parameter."""

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from retrain.errors import RetrainError, without_secrets

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

LONGEST_NAME = 100
NAME = rf"\w[\w.-]{{0,{LONGEST_NAME - 1}}}"
"""A dataset's name. Folders and experiments are called like it, so it can't be a path, which could lead anywhere."""


class Section(BaseModel):
    """Parameters of one stage or of one part: no defaults, no conversions, no unknown names."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def freeze_lists(cls, parameters: Any) -> Any:
        """YAML's lists become tuples, which a strict model does not do by itself."""
        if not isinstance(parameters, Mapping):
            return parameters
        return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


def in_order(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters by name, `name` itself first: to DVC another order is no change, so it must be none in `model.json` either."""
    return dict(sorted(parameters.items(), key=lambda parameter: (parameter[0] != "name", parameter[0])))


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
"""The parameters of what a name chooses, which the file of that name checks; in one order, whichever params.yaml has."""
DatasetName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]
Threads = Annotated[int, Field(gt=0, le=1024)]
"""How many threads a model asks for; each takes memory of this machine."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
"""How many there are of something: few enough to be exact as a floating-point number."""
AtLeastOne = Annotated[int, Field(gt=0, lt=2**31)]
"""How many of something a parameter asks for: a number that no library here turns down by a traceback."""
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


def check(parameters: Any, model: type[AnySection], where: str) -> AnySection:
    """Validate parameters against their model.

    Args:
        parameters: what YAML or JSON gave.
        model: the section's model.
        where: the parameters' path, for the error.

    Raises:
        RetrainError: a parameter is unknown, missing or mistyped.
    """
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # An unknown name explains a missing one, not the other way round.
        first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
        raise parameter_error(first, parameters, model, where) from None


def parameter_error(detail: ErrorDetails, parameters: Any, model: type[Section], where: str) -> RetrainError:
    """The one line that says which parameter is wrong, how, and what would be right."""
    names = [str(part) for part in detail["loc"]]
    kind, context = detail["type"], detail.get("ctx", {})
    parameter = ".".join([where, *written(names, parameters)])
    if kind == "extra_forbidden":
        parent = ".".join([where, *written(names[:-1], parameters)])
        return RetrainError(
            parent, f"unknown parameter '{names[-1]}'", nearest(names[-1], known_names(model, names[:-1]))
        )
    if kind in ("missing", "union_tag_not_found"):
        absent = names[-1] if kind == "missing" else "name"
        return RetrainError(f"{parameter}.{absent}", "is missing", "add it: parameters have no defaults")
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return RetrainError(f"{parameter}.name", f"unknown '{context['tag']}'", nearest(context["tag"], tags))
    if kind == "literal_error":
        options = [option.strip(" '") for option in context["expected"].replace(" or ", ",").split(",")]
        unknown = shown(detail["input"]).strip("'")
        return RetrainError(parameter, f"unknown '{unknown}'", nearest(unknown, options))
    if kind == "value_error":
        return RetrainError(parameter, detail["msg"].removeprefix("Value error, "), "make the parameters agree")
    hint = re.sub(r"^\w+ should", "it should", detail["msg"]).replace("tuple", "list")
    return RetrainError(parameter, f"{shown(detail['input'])} will not do", hint)


def written(names: list[str], parameters: Any) -> list[str]:
    """The part of a path that stands in the file: pydantic also names the member of a union that it tried."""
    found = []
    for name in names:
        children = dict(enumerate(parameters)) if isinstance(parameters, list | tuple) else parameters
        here = {str(key): value for key, value in children.items()} if isinstance(children, Mapping) else {}
        if name in here:
            found.append(name)
            parameters = here[name]
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


def known_names(model: type[Section], path: list[str]) -> Iterable[str]:
    """The names that a model knows at a path of parameters; a part of the path may be a union's tag."""
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
