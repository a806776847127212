"""Whether dvc.lock still says what the working tree would give: told from dvc.yaml, params.yaml and the code alone.

Data is not looked at: it may be missing, as in CI, and what a stage made is compared where dvc.lock names it twice, as
an output of one stage and as a dependency of the next.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retrain.pipeline.dvc_yaml import FILE, LOCK, Pipeline, Recorded, Stage, dataset_of


@dataclass(frozen=True)
class Verdict:
    """What is to be said of dvc.lock."""

    reasons: Mapping[str, tuple[str, ...]]
    """Why a stage is stale, or nothing where it is not; the stages of a dataset that was never run are left out."""
    never_run: tuple[str, ...]
    """Datasets of which nothing is recorded, and git keeps no result."""
    not_compared: tuple[str, ...]
    """Dependencies that are data, at least in part: whether they changed is known only where the data is."""


def verdict(pipeline: Pipeline, lock: Mapping[str, Recorded]) -> Verdict:
    """Compare what is recorded with what is declared and there now."""
    made = {path: digest for entry in lock.values() for path, digest in entry.outputs.items()}
    left = [stage.name for stage in pipeline.stages if any(path in pipeline.digests for path in stage.in_git)]
    run = {group(name) for name in [*lock, *left]}
    stages = {stage.name: stage for stage in pipeline.stages if group(stage.name) in run}
    reasons: dict[str, tuple[str, ...]] = {name: (f"{FILE} has no such stage",) for name in lock if name not in stages}
    for name, stage in stages.items():
        recorded = name in lock
        reasons[name] = tuple(differences(stage, lock[name], pipeline, made)) if recorded else ("it is not recorded",)
    read = {path for stage in stages.values() for path in stage.dependencies}
    return Verdict(
        reasons=reasons,
        never_run=tuple(sorted({group(stage.name) for stage in pipeline.stages} - run)),
        not_compared=tuple(sorted(read & pipeline.not_compared)),
    )


def group(stage: str) -> str:
    """What is run together: the stages of a dataset, and each stage that runs for none."""
    return dataset_of(stage) or stage


def differences(stage: Stage, entry: Recorded, pipeline: Pipeline, made: Mapping[str, str]) -> Iterator[str]:
    """In which ways a stage is another one than the one that ran."""
    if stage.command != entry.command:
        yield "its command changed"
    yield from changed_parameters(flat(entry.values), flat(stage.values))
    yield from changed_names("dependencies", entry.dependencies, stage.dependencies)
    yield from changed_names("outputs", entry.outputs, stage.outputs)
    outputs = {path for other in pipeline.stages for path in other.outputs}
    for path in sorted(set(stage.dependencies) & set(entry.dependencies) - pipeline.not_compared):
        if path not in outputs:
            yield from changed_file(path, entry.dependencies, pipeline.digests)
        elif made.get(path) != entry.dependencies[path]:
            yield f"{path} is not what {LOCK} says was made"
    for path in sorted(set(stage.in_git) & set(entry.outputs)):
        yield from changed_file(path, entry.outputs, pipeline.digests)


def changed_parameters(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Which parameters have another value, are new or are gone."""
    for parameter in sorted({*before, *now}):
        if parameter not in now:
            yield f"{parameter} is gone"
        elif parameter not in before:
            yield f"{parameter} is new"
        elif before[parameter] != now[parameter]:
            yield f"{parameter} is {now[parameter]}, was {before[parameter]}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their path."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        found.update(flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value})
    return found


def changed_names(kind: str, before: Iterable[str], now: Iterable[str]) -> Iterator[str]:
    """Which dependencies or outputs came and went."""
    yield from (f"{path} is new among its {kind}" for path in sorted(set(now) - set(before)))
    yield from (f"{path} is no longer among its {kind}" for path in sorted(set(before) - set(now)))


def changed_file(path: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Whether a file that every clone has is another one, or missing."""
    if path not in now:
        yield f"{path} is missing"
    elif now[path] != before[path]:
        yield f"{path} changed"
