"""Which stages of dvc.lock are out of date, according to dvc.yaml, params.yaml and the code.

Data is not read: a clone, as in CI, may not have it. An output of a stage that another stage reads is compared where
dvc.lock has it twice, as an output and as a dependency.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from retrain.pipeline import dvc_lock
from retrain.pipeline.dvc_lock import MISSING, Lock, LockedStage
from retrain.pipeline.dvc_yaml import FILE, Pipeline, Stage, dataset_of

__all__ = ["verdict"]


@dataclass(frozen=True)
class Verdict:
    """How dvc.lock compares with the working tree."""

    reasons: Mapping[str, tuple[str, ...]]
    """Why each stage is out of date, empty if it is not; without the stages of datasets that were never run."""
    never_run: tuple[str, ...]
    """Datasets without an entry in dvc.lock and without results in git."""
    not_compared: tuple[str, ...]
    """Dependencies that contain data: only a working tree with the data can tell whether they changed."""


def verdict(pipeline: Pipeline, lock: Lock) -> Verdict:
    """Compare the recorded stages with the declared ones."""
    in_git = [stage.name for stage in pipeline.stages if any(path in pipeline.digests for path in stage.in_git)]
    run = {group(name) for name in [*lock.stages, *in_git]}
    stages = {stage.name: stage for stage in pipeline.stages if group(stage.name) in run}
    reasons: dict[str, tuple[str, ...]] = {
        name: (f"{FILE} has no such stage",) for name in lock.stages if name not in stages
    }
    declared = {path for stage in stages.values() for path in stage.outputs}
    made = {path: digest for path, digest in lock.outputs().items() if path in declared}
    for name, stage in stages.items():
        reasons[name] = ("it was never run",)
        if then := lock.stages.get(name):
            found = dvc_lock.stage_differences(then, run_now(stage, then, pipeline, made))
            reasons[name] = tuple(sentence for _, sentence in found)
    read = {path for stage in stages.values() for path in stage.dependencies}
    return Verdict(
        reasons=reasons,
        never_run=tuple(sorted({group(stage.name) for stage in pipeline.stages} - run)),
        not_compared=tuple(sorted(read & pipeline.not_compared)),
    )


def group(stage: str) -> str:
    """What is run together: all stages of a dataset, and each stage without a dataset."""
    return dataset_of(stage) or stage


def run_now(stage: Stage, then: LockedStage, pipeline: Pipeline, made: Mapping[str, str]) -> LockedStage:
    """What dvc.lock would record for a stage now; what can't be known without data stays as it was recorded."""
    now = {path: pipeline.digests.get(path, MISSING) for path in (*stage.dependencies, *stage.in_git)}
    unknown = {entry.path: entry.md5 for entry in then.deps if entry.path in pipeline.not_compared}
    recorded = {entry.path: entry.md5 for entry in then.outs if entry.path not in stage.in_git}
    known = {**now, **made, **unknown, **recorded, **{path: now[path] for path in stage.in_git}}
    return LockedStage.model_validate(
        {
            "cmd": stage.command,
            "deps": [{"path": path, "md5": known[path]} for path in stage.dependencies],
            "params": stage.params,
            "outs": [{"path": path, "md5": known.get(path, "")} for path in stage.outputs],
        }
    )
