"""`retrain reset`: takes a dataset back to the last commit."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from retrain import cli, environment, files, git, params, schema, yaml_files
from retrain.errors import RetrainError
from retrain.pipeline import dvc_cache, dvc_lock, dvc_program, dvc_yaml
from retrain.pipeline.dvc_cache import OutputFinder

import click

__all__ = ["command", "restore_keys"]


@click.command(epilog=cli.examples("retrain reset diabetes"))
@click.argument("dataset")
@cli.one_line_errors
def command(dataset: str) -> None:
    """Undo an experiment.

    Takes DATASET back to the last commit: its block of params.yaml, its stages in dvc.lock, its metrics, and its outputs,
    which come from DVC's cache. Other datasets and files, and all runs in MLflow, stay as they are.
    """
    workspace = environment.workspace()
    if committed_block(workspace, dataset) is None:
        params.unchecked_block(workspace, dataset)
        hint = f"commit it, or remove datasets.{dataset} from {params.FILE} yourself"
        raise RetrainError(f"the {params.FILE} of the last commit", f"has no dataset '{dataset}'", hint)
    require_outputs(workspace, dataset)
    with dvc_yaml.editing(workspace):
        restored = [*restore_yaml(workspace, dataset)]
    stages = dvc_yaml.read(workspace, dataset).of(dataset)
    restored += restore_metrics(workspace, [path for stage in stages for path in stage.in_git])
    outputs = restore_outputs(workspace, dataset, [path for stage in stages for path in stage.outputs])
    for line in restored or [f"{params.FILE}, {dvc_lock.FILE} and the metrics of {dataset} are as in the last commit"]:
        click.echo(line)
    click.echo(outputs)
    if names := changed_defaults(workspace):
        fact = f"{schema.some_of(names)} still differ{'s' if len(names) == 1 else ''} from the last commit"
        click.echo(f"{params.FILE}: {fact}, for all datasets; to restore the whole file: git checkout {params.FILE}")
    if raw := changed_raw(workspace, dataset):
        tracked = [path for path in raw if path.endswith(".dvc")]
        commands = [
            f"git checkout HEAD {shlex.join(raw)}",
            *([f"dvc checkout {shlex.join(tracked)}"] if tracked else []),
        ]
        fact = f"still differ{'s' if len(raw) == 1 else ''} from the last commit"
        click.echo(f"{', '.join(raw)} {fact}; to restore the rows too: {' && '.join(commands)}")


def require_outputs(workspace: Path, dataset: str) -> None:
    """Raise RetrainError if a committed output is neither in DVC's cache nor in its place: then nothing is changed."""
    lock = dvc_lock.of_commit(workspace, "HEAD").of([dataset])
    finder = OutputFinder.of(workspace)
    for path, digest in lock.outputs().items():
        if finder.lacks(path, digest) and git.content(workspace, "HEAD", path) is None:
            hint = f"get them from a remote: dvc fetch --all-commits {' '.join(lock.stages)}; or undo the change of {params.FILE} and run: make repro"
            raise RetrainError(f"the committed outputs of {dataset}", "are not all in DVC's cache", hint)


def committed_block(workspace: Path, dataset: str) -> Any:
    """A dataset's block of params.yaml in the last commit, or None."""
    return params.value_at(committed_params(workspace), f"datasets.{dataset}")


def committed_params(workspace: Path) -> Any:
    """What params.yaml holds in the last commit."""
    where = f"{params.FILE} of the last commit"
    return yaml_files.parsed(git.content(workspace, "HEAD", params.FILE) or b"", where)


def changed_defaults(workspace: Path) -> list[str]:
    """The parameters in `defaults` that differ from the last commit."""
    contents = (committed_params(workspace), params.content_of(workspace))
    then, now = (params.flat({params.DEFAULTS: params.value_at(one, params.DEFAULTS)}) for one in contents)
    return [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]


def changed_raw(workspace: Path, dataset: str) -> list[str]:
    """The files of a dataset's rows that differ from the last commit; where DVC has the rows, its `.dvc` file does."""
    raw = f"data/raw/{dataset}"
    options = ("--name-only", "-z", "--relative", "--diff-filter=MD")
    return git.text(workspace, "diff", *options, "HEAD", "--", raw, f"{raw}.dvc").split("\0")[:-1]


def restore_yaml(workspace: Path, dataset: str) -> Iterator[str]:
    """Replace the dataset's parts of params.yaml and dvc.lock by the committed ones; yields what changed."""
    stages = [("stages", f"{stage}@{dataset}") for stage in params.STAGES]
    for path, what, keys in ((params.FILE, "block", [("datasets", dataset)]), (dvc_lock.FILE, "stages", stages)):
        if restore_keys(workspace / path, git.content(workspace, "HEAD", path) or b"", keys):
            yield f"{path}: restored the {what} of {dataset}"


def restore_keys(path: Path, then: bytes, keys: list[tuple[str, str]]) -> bool:
    """Replace some parts of a YAML file by those of another version; returns whether something changed.

    Where nothing else differs, the file becomes that version, with its comments and layout.
    """
    now_text = path.read_bytes() if path.exists() else b""
    expected, plain = (yaml_files.parsed(text, path.name) or {} for text in (now_text, then))
    changed = [(top, name) for top, name in keys if plain.get(top, {}).get(name) != expected.get(top, {}).get(name)]
    if not changed:
        return False
    restore(expected, plain, changed)
    if expected == plain:
        write(path, then)
        return True
    old, now = (yaml_files.parsed(text, path.name, yaml_files.round_trip()) or {} for text in (then, now_text))
    restore(now, old, changed)
    yaml_files.replace(path, now, expected, f"run: git checkout {path.name}")
    return True


def restore(now: Any, then: Any, keys: list[tuple[str, str]]) -> None:
    """Replace some parts of a mapping by those of another one, and remove those that it does not have."""
    for top, name in keys:
        if (part := then.get(top, {}).get(name)) is None:
            del now[top][name]
        else:
            now.setdefault(top, {})[name] = part


def write(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    with files.replacing(path) as (draft,), files.writing(draft):
        draft.write_bytes(content)


def restore_metrics(workspace: Path, paths: Iterable[str]) -> Iterator[str]:
    """Restore the outputs that git stores, or remove them if the last commit has none; yields what changed."""
    for path in paths:
        then, target = git.content(workspace, "HEAD", path), workspace / path
        now = target.read_bytes() if target.exists() else None
        if then is None and now is not None:
            files.remove(target)
            yield f"{path}: removed, because the last commit does not have it"
        elif then is not None and then != now:
            write(target, then)
            yield f"{path}: restored"


def restore_outputs(workspace: Path, dataset: str, made: Iterable[str]) -> str:
    """Restore the outputs from DVC's cache, or remove those that dvc.lock does not have; says what happened."""
    lock = dvc_lock.read(workspace).of([dataset])
    for path in made:
        if path not in lock.outputs():
            files.remove(workspace / path)
    if not lock.stages:
        return f"{dataset} has no committed results: its outputs were removed"
    if lost := dvc_cache.put_back(workspace, lock.outputs()):
        click.echo(f"DVC's cache had lost {schema.some_of(lost)}, and has them again")
    dvc_program.output(workspace, "checkout", "--quiet", "--force", *lock.stages)
    return f"the outputs of {dataset} are as in the last commit"
