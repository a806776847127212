"""`retrain status`: whether dvc.lock is up to date."""

from pathlib import Path

from retrain import cli, environment, params, requirements
from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock, dvc_yaml, staleness

import click

__all__ = ["check_lock", "command"]


@click.command(epilog=cli.examples("retrain status", "retrain status diabetes"))
@click.argument("dataset", required=False)
@cli.one_line_errors
def command(dataset: str | None) -> None:
    """Say whether dvc.lock is up to date.

    Lists the stages of DATASET, or of all datasets, that have to run again because code, parameters or dvc.yaml
    changed. Runs nothing and needs no data. The exit code is 1 if a stage is out of date.
    """
    check_lock(environment.workspace(), dataset)


def check_lock(workspace: Path, dataset: str | None) -> None:
    """Print which stages are out of date, and why.

    Raises:
        RetrainError: there is such a stage.
    """
    if dataset is not None:
        params.dataset_block(workspace, dataset)
    if other := requirements.warning(workspace):
        cli.warn(other)
    lock = dvc_lock.read(workspace)
    verdict = staleness.verdict(dvc_yaml.read(workspace, dataset), lock)
    if dataset in verdict.never_run:
        raise RetrainError(dvc_lock.FILE, f"has no results for {dataset}", f"run: make repro DATASET={dataset}")
    gone = {*lock.datasets()} - {*params.datasets(workspace)}
    asked = {name: why for name, why in verdict.reasons.items() if dataset in (None, dvc_yaml.dataset_of(name))}
    stale = {name: why for name, why in asked.items() if why}
    for name in verdict.never_run if dataset is None else ():
        click.echo(f"{name} was never run: {dvc_lock.FILE} has no results for it")
    for path in verdict.not_compared:
        click.echo(f"{path} is not compared, because it contains data")
    for name in sorted(gone) if dataset is None else ():
        click.echo(f"{name} is in {dvc_lock.FILE}, but not in {params.FILE}: `make repro` removes its stages")
    for name, why in stale.items():
        if dvc_yaml.dataset_of(name) in gone:
            continue
        changed = [reason.removesuffix(" changed") for reason in why if reason.endswith(" changed")]
        others = [reason for reason in why if not reason.endswith(" changed")]
        reasons = [*others, f"{', '.join(changed)} changed"] if changed else others
        click.echo(f"{name} is out of date: {'; '.join(reasons)}")
    if stale:
        run = f"make repro{f' DATASET={dataset}' if dataset else ''}"
        fact = f"{len(stale)} of {len(asked)} stages are out of date"
        raise RetrainError(dvc_lock.FILE, fact, f"run: {run}; then commit {dvc_lock.FILE} and the metrics")
    click.echo(f"{dvc_lock.FILE} is up to date ({len(asked)} stages)")
