"""`retrain audit`: whether dvc.yaml is true of what stages read, and whether dvc.lock is stale."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import cli, environment, files, params
from retrain.errors import RetrainError
from retrain.pipeline import availability, dependencies, dvc_yaml, sandbox, staleness
from retrain.pipeline.dependencies import Finding
from retrain.pipeline.dvc_yaml import Stage

import click


@click.command()
@click.argument("dataset", required=False)
@click.option("--stale", is_flag=True, help="Only say whether dvc.lock is stale: runs nothing, and needs no data.")
@cli.one_line_errors
def command(dataset: str | None, stale: bool) -> None:  # noqa: FBT001 (click's own)
    """Run the stages of DATASET, or of every dataset whose rows can be had, and see what they read.

    Whatever a stage reads and does not declare in dvc.yaml is said, and whatever it declares and does not read, each
    with the line to add or to take out. The stages run in a copy of the working tree, with runs of their own.
    """
    workspace = environment.workspace()
    if stale:
        check_lock(workspace, dataset)
    else:
        check_inputs(workspace, dataset)


def check_lock(workspace: Path, dataset: str | None) -> None:
    """Say which stages dvc.lock is stale for, and why.

    Raises:
        RetrainError: there is such a stage.
    """
    if dataset is not None:
        params.dataset_block(workspace, dataset)
    verdict = staleness.verdict(dvc_yaml.read(workspace), dvc_yaml.recorded(workspace))
    asked = {name: why for name, why in verdict.reasons.items() if dataset in (None, dvc_yaml.dataset_of(name))}
    stale = {name: why for name, why in asked.items() if why}
    for name in verdict.never_run:
        click.echo(f"{name} was never run: dvc.lock has nothing of it")
    for path in verdict.not_compared:
        click.echo(f"{path} is not compared: it is data, or holds some")
    for name, why in stale.items():
        click.echo(f"{name} is stale: {'; '.join(why)}")
    if stale:
        fact = f"{len(stale)} of {len(asked)} stages are stale"
        raise RetrainError(dvc_yaml.LOCK, fact, "run make repro, and commit dvc.lock and the metrics")
    click.echo(f"dvc.lock is up to date: {len(asked)} stages are as they ran")


@dataclass(frozen=True)
class Bench:
    """Where stages are tried, with what they are given."""

    folder: Path
    stages: Sequence[Stage]
    params_yaml: str

    @property
    def full(self) -> Path:
        """A copy of the working tree, in which one stage after the other runs and is watched."""
        return self.folder / "full"

    @property
    def bare(self) -> Path:
        """What one stage was seen to read, and nothing else."""
        return self.folder / "bare"

    @property
    def root(self) -> Path:
        """What outlives a run."""
        return self.folder / "root"


def check_inputs(workspace: Path, dataset: str | None) -> None:
    """Run stages and say what they declare wrongly.

    Raises:
        RetrainError: there is something, or a stage fails.
    """
    ready = availability.chosen(workspace, dataset, "audit")
    chosen = ready if dataset else [*ready, ""]  # and the stages that run for no dataset
    stages = dvc_yaml.read(workspace).stages
    with TemporaryDirectory(prefix="retrain-audit-") as folder:
        bench = Bench(Path(folder).resolve(), stages, (workspace / params.FILE).read_text(encoding="utf-8"))
        sandbox.check_access_times(bench.folder)
        sandbox.copy(sandbox.working_tree(workspace, stages), workspace, bench.full)
        sandbox.make_root(bench.root, environment.root())
        wrong = sum(audited(stage, bench) for stage in dvc_yaml.in_order(stages) if stage.dataset in chosen)
    if wrong:
        raise RetrainError(dvc_yaml.FILE, f"is not true in {wrong} places", "mend them as said above")


def audited(stage: Stage, bench: Bench) -> int:
    """Run a stage and say what it declares wrongly; returns how many things that are."""
    findings = findings_of(stage, bench)
    for finding in findings:
        click.echo(str(finding))
    if not findings:
        declared = f"{len(stage.dependencies)} dependencies and {', '.join(stage.sections)} of {params.FILE}"
        click.echo(f"{stage.name} reads what it declares, {declared}; with nothing else there it gives the same bytes")
    return len(findings)


def findings_of(stage: Stage, bench: Bench) -> list[Finding]:
    """What a stage declares wrongly.

    It runs once in the full copy, watched; then where only what it was seen to read is there, and what it does not
    declare of params.yaml is hidden. The same bytes prove that it was seen well; others show what was not.
    """
    watched = sandbox.watch(stage, bench.full, bench.root)
    if watched.ended.status:
        last = (watched.ended.said.strip().splitlines() or ["it says nothing"])[-1]
        raise RetrainError(stage.name, f"fails in a copy of the working tree ({last})", "mend it, then try again")
    sandbox.copy_read(watched, bench.full, bench.bare)

    def gives_the_same(hidden: Sequence[str]) -> bool:
        (bench.bare / params.FILE).write_text(dependencies.with_hidden(bench.params_yaml, hidden), encoding="utf-8")
        return sandbox.attempt(stage, bench.bare, bench.root).same(watched.ended)

    parameters = dependencies.load(bench.params_yaml)
    block = parameters["datasets"].get(stage.dataset, {})
    made = [path for other in bench.stages for path in other.outputs]
    found = [
        *dependencies.undeclared_files(stage, watched.read, made, block),
        *dependencies.unused_files(stage, watched.read, block),
        *dependencies.undeclared_outputs(stage, watched.wrote, block),
        *dependencies.sections(stage, parameters, gives_the_same),
    ]
    files.remove(bench.bare)
    return found
