"""`retrain remove`: takes away what `retrain add` wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain import cli, environment, files, params, yaml_files
from retrain.data.downloads import tracked_by
from retrain.errors import RetrainError
from retrain.pipeline import dvc_yaml
from retrain.pipeline.blocks import artifact_name, plot_titles

import click

__all__ = ["command"]


@click.command(epilog=cli.examples("retrain remove reviews"))
@click.argument("name")
@cli.one_line_errors
def command(name: str) -> None:
    """Remove a dataset that `retrain add` wrote.

    Takes away its block in params.yaml, its lines in dvc.yaml, its data card and the copy of its file.
    Files that have changed since stay, and files that DVC tracks. So do the outputs of its stages and its runs in MLflow.
    """
    workspace = environment.workspace()
    shown = f"reports/{name}/data.json"
    facts = workspace / shown
    params.unchecked_block(workspace, name)
    if not facts.is_file():
        hint = f"if it was there, run: git checkout {shown}; else remove the block from {params.FILE} and the lines from {dvc_yaml.FILE} yourself"
        raise RetrainError(f"dataset '{name}'", f"has no {shown}, in which 'retrain add' lists what it wrote", hint)
    written = files.read_json(facts, "run: git checkout reports").get("written", {})
    tracked = {path: file for path in written if (file := tracked_by(Path(path), workspace))}
    kept = [path for path, sha256 in written.items() if path not in tracked and changed(workspace / path, sha256)]
    with dvc_yaml.editing(workspace):
        texts = without_dataset(workspace, name)
        with files.replacing(workspace / params.FILE, workspace / dvc_yaml.FILE) as drafts:
            for draft, text in zip(drafts, texts, strict=True):
                with files.writing(draft):
                    draft.write_text(text, encoding="utf-8")
    gone = [path for path in written if path not in (*kept, *tracked) and (workspace / path).exists()]
    for path in (*(workspace / path for path in gone), facts):
        files.remove(path)
    for folder in (workspace / "data" / "raw" / name, facts.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    click.echo(f"removed {name} from {params.FILE} and {dvc_yaml.FILE}")
    for path in (*gone, shown):
        click.echo(f"removed {path}")
    for path in kept:
        click.echo(f"kept {path}, which has changed since it was added")
    for path, file in tracked.items():
        click.echo(f"kept {path}, which DVC tracks; to delete it: dvc remove --outs {file}")
    outputs = [f"{part}/{name}" for part in ("data", "models", "reports") if (workspace / part / name).exists()]
    if outputs:
        click.echo(f"outputs of earlier runs are still there; to delete them: rm -r {' '.join(outputs)}")


def changed(path: Path, sha256: str) -> bool:
    """Whether a file is there, but with another content."""
    return path.is_file() and files.sha256(path) != sha256


def without_dataset(workspace: Path, name: str) -> tuple[str, str]:
    """The texts of params.yaml and dvc.yaml without a dataset.

    Raises:
        RetrainError: the files are laid out in a way that can't be edited.
    """
    block = (workspace / params.FILE).read_text(encoding="utf-8")
    new_block = yaml_files.without_item(block, "datasets", rf"{name}:.*")
    pipeline = (workspace / dvc_yaml.FILE).read_text(encoding="utf-8")
    titles = "|".join(plot_titles(name))
    new_pipeline = yaml_files.without_item(pipeline, "plots", rf"- (?:{titles}):.*")
    new_pipeline = yaml_files.without_item(new_pipeline, "artifacts", rf"{artifact_name(name)}:.*")
    expect(block, new_block, params.FILE, lambda content: content["datasets"].pop(name, None))

    def drop(content: dict[str, Any]) -> None:
        plots, titles = content.get("plots") or [], {*plot_titles(name)}
        content["plots"] = [item for item in plots if not (isinstance(item, Mapping) and titles & {*item})]
        if (content.get("artifacts") or {}).get(artifact_name(name), {}).get("path") == f"models/{name}":
            del content["artifacts"][artifact_name(name)]

    expect(pipeline, new_pipeline, dvc_yaml.FILE, drop)
    return new_block, new_pipeline


def expect(before: str, after: str, shown: str, drop: Any) -> None:
    """Raise RetrainError unless an edited file has what the old one has after `drop`."""
    old, new = (yaml_files.parsed(text.encode(), shown) for text in (before, after))
    drop(old)
    empty: tuple[Any, ...] = (None, [], {})
    if {k: v for k, v in old.items() if v not in empty} != {k: v for k, v in new.items() if v not in empty}:
        raise RetrainError(shown, "can't be edited in this layout", "lay it out as in the last commit")
