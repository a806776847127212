"""`retrain audit`: whether dvc.yaml declares what the stages really read."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import cli, environment, files, params
from retrain.commands import status
from retrain.errors import RetrainError
from retrain.pipeline import availability, dependencies, dvc_yaml, sandbox
from retrain.pipeline.dependencies import Disagreement
from retrain.pipeline.dvc_yaml import Stage

import click

__all__ = ["command"]


FULL, BARE, ROOT = "full", "bare", "root"
"""Folders: a copy of the working tree, where stages run observed; only what a stage read; the store and the downloads."""


@click.command()
@click.argument("dataset", required=False)
@click.option("--stale", is_flag=True, help="Former name of `retrain status`.")
@cli.one_line_errors
def command(dataset: str | None, stale: bool) -> None:  # noqa: FBT001 (click gives it by name)
    """Check dvc.yaml against what the stages really read.

    Runs the stages of DATASET, or of every available dataset, in a copy of the working tree. Lists undeclared and
    unused dependencies and parameters, each with the line to add to dvc.yaml or to remove from it.
    """
    workspace = environment.workspace()
    if stale:
        status.check_lock(workspace, dataset)
    else:
        check_inputs(workspace, dataset)


def check_inputs(workspace: Path, dataset: str | None) -> None:
    """Run stages and print what they declare wrongly.

    Raises:
        RetrainError: something is declared wrongly, or a stage fails.
    """
    ready = availability.named_or_available(workspace, dataset)
    selected = ready if dataset else [*ready, ""]  # with the stages that have no dataset
    stages = dvc_yaml.read(workspace, dataset).stages
    with TemporaryDirectory(prefix="retrain-audit-") as name:
        folder = Path(name).resolve()
        sandbox.check_access_times(folder)
        sandbox.copy(sandbox.working_tree(workspace, stages), workspace, folder / FULL)
        sandbox.make_root(folder / ROOT, environment.root())
        wrong = sum(audited(stage, stages, folder) for stage in dvc_yaml.in_order(stages) if stage.dataset in selected)
    if wrong:
        fact = f"{wrong} {'entry is' if wrong == 1 else 'entries are'} wrong or missing"
        raise RetrainError(dvc_yaml.FILE, fact, "change the lines that are listed above")


def audited(stage: Stage, stages: Sequence[Stage], folder: Path) -> int:
    """Run a stage, print what it declares wrongly, and return how many things that are."""
    found = disagreements(stage, stages, folder)
    for disagreement in found:
        click.echo(str(disagreement))
    if not found:
        declared = f"{len(stage.dependencies)} dependencies and {', '.join(stage.sections)} of {params.FILE}"
        click.echo(f"{stage.name} reads what it declares: {declared}. Without other files it writes the same bytes.")
    return len(found)


def disagreements(stage: Stage, stages: Sequence[Stage], folder: Path) -> list[Disagreement]:
    """What a stage declares wrongly.

    The stage runs once in the full copy, observed. Then it runs again with only the files that it was seen to read and
    with undeclared parameters hidden. The same bytes prove that nothing was missed.
    """
    full, bare, root = folder / FULL, folder / BARE, folder / ROOT
    params_yaml = (full / params.FILE).read_text(encoding="utf-8")
    observed = sandbox.observe(stage, full, root)
    if observed.run.status:
        last = (observed.run.printed.strip().splitlines() or ["no message"])[-1]
        raise RetrainError(stage.name, f"fails in a copy of the working tree ({last})", "fix it, then try again")
    sandbox.copy_read(observed, full, bare)

    def gives_the_same(hidden: Sequence[str]) -> bool:
        (bare / params.FILE).write_text(dependencies.with_hidden(params_yaml, hidden), encoding="utf-8")
        return sandbox.attempt(stage, bare, root).same(observed.run)

    parameters = dependencies.load(params_yaml)
    block = parameters["datasets"].get(stage.dataset, {})
    made = [path for other in stages for path in other.outputs]
    found = [
        *dependencies.undeclared_files(stage, observed.read, made, block),
        *dependencies.unused_files(stage, observed.read, block),
        *dependencies.undeclared_outputs(stage, observed.wrote, block),
        *dependencies.sections(stage, parameters, gives_the_same),
    ]
    files.remove(bare)
    return found
