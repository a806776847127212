"""`retrain repro`: the pipeline of every available dataset. `make repro` calls it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retrain import cli, environment, files, params
from retrain.commands import reset
from retrain.commands.check import check_stages
from retrain.data import report_csv
from retrain.errors import RetrainError
from retrain.evaluation import seeds
from retrain.evaluation.verdict import verdict
from retrain.models import description
from retrain.pipeline import availability, dvc_cache, dvc_lock, dvc_program, dvc_yaml
from retrain.pipeline.dvc_lock import Lock
from retrain.pipeline.revisions import WORKSPACE, Revision
from retrain.release.results import RecordedResult
from retrain.text_tables import in_common, table

import click

__all__ = ["check_writable", "command"]


@click.command(epilog=cli.examples("retrain repro", "retrain repro diabetes"))
@click.argument("dataset", required=False)
@cli.one_line_errors
def command(dataset: str | None) -> None:
    """Run the pipeline.

    Runs prepare, split, train, evaluate and plot for DATASET, or for every available dataset, as far as something
    changed. Prints the test metrics, what they mean, and whether the results equal the committed ones.
    Without DATASET, it also takes the stages of datasets that are no longer in params.yaml out of dvc.lock.
    """
    workspace = environment.workspace()
    dvc_yaml.check_repository(workspace)
    check_writable(workspace)
    # A bare `dvc repro` would fail for a broken block or an unavailable dataset. It would not see that 50.0 became 50.
    broken: list[str] = []
    if dataset is not None:
        check_stages(workspace, dataset)
        datasets = availability.named_or_available(workspace, dataset)
    else:
        datasets, broken = availability.available_and_broken(workspace, check_stages)
        remove_stale_entries(workspace)
    told = prepare_others(workspace, datasets)
    dvc_program.repro(workspace, os.environ, sys.stdout.fileno(), *(f"plot@{name}" for name in datasets))
    click.echo()
    for line in summary(workspace, datasets, told):
        click.echo(line)
    if broken:
        fact = f"{len(broken)} of {len(params.datasets(workspace))} datasets did not run ({', '.join(broken)})"
        raise RetrainError(params.FILE, fact, "correct what the lines above name")


def check_writable(workspace: Path) -> None:
    """Raise RetrainError if DVC could not write its files."""
    for path in map(workspace.joinpath, (".", ".dvc", ".dvc/tmp", dvc_lock.FILE)):
        if path.exists() and not os.access(path, os.W_OK):
            hint = f"check its permissions: ls -ld {path}; or work in a clone of your own: git clone {workspace}"
            raise RetrainError(str(path), "can't be written (permission denied)", hint)


def prepare_others(workspace: Path, datasets: list[str]) -> dict[str, list[str]]:
    """Run the prepare stage where it will read other files than before, and tell what is odd about new rows: the training may take hours.

    The earlier rows are those of the last commit, so that the same is told again after an interruption.

    Returns:
        What was told about each of these datasets.
    """
    last = dvc_lock.read(workspace)
    locks = (committed_lock(workspace), last)
    earlier = {name: next((lock for lock in locks if f"prepare@{name}" in lock.stages), None) for name in datasets}
    others = {name: lock for name, lock in earlier.items() if lock and reads_others(workspace, lock, name)}
    if late := [name for name in others if reads_others(workspace, last, name)]:
        dvc_program.repro(workspace, os.environ, sys.stdout.fileno(), *(f"prepare@{name}" for name in late))
    present, found, revision = dvc_lock.read(workspace), {}, Revision(workspace, "")
    with TemporaryDirectory(prefix="retrain-repro-") as copies:
        for name, lock in others.items():
            then, now = (
                RecordedResult(revision, WORKSPACE, name, one.of([name]), Path(copies, name, str(place)))
                for place, one in enumerate((lock, present))
            )
            found[name] = now.new_rows(then)
            for line in found[name]:
                cli.warn(f"{name}: {line}")
    return found


def reads_others(workspace: Path, before: Lock, dataset: str) -> bool:
    """Whether the prepare stage has run with other files, or not at all."""
    if (stage := before.stages.get(f"prepare@{dataset}")) is None:
        return True
    raw, file = f"data/raw/{dataset}", f"datasets.{dataset}.prepare.train"
    digests = {entry.path: entry.md5 for entry in stage.deps}
    now = dvc_cache.folder_digest(dvc_cache.listing(workspace / raw))
    section = stage.parameters().get(file.removesuffix(".train")) or {}
    return digests.get(raw) != now or section.get("train") != params.value_at(params.content_of(workspace), file)


def committed_lock(workspace: Path) -> Lock:
    """dvc.lock as it is in the last commit; empty without one."""
    try:
        return Revision(workspace, "HEAD").lock()
    except RetrainError:
        return Lock()


def remove_stale_entries(workspace: Path) -> None:
    """Remove the results of datasets that are no longer in params.yaml from dvc.lock, where DVC would keep them."""
    for name in sorted({*dvc_lock.read(workspace).datasets()} - {*params.datasets(workspace)}):
        stages = [("stages", f"{stage}@{name}") for stage in params.STAGES]
        with dvc_yaml.editing(workspace):
            removed = reset.restore_keys(workspace / dvc_lock.FILE, b"", stages)
        if removed:
            click.echo(f"{dvc_lock.FILE}: removed the stages of {name}, which is not in {params.FILE}", err=True)


def summary(workspace: Path, datasets: list[str], told: Mapping[str, list[str]]) -> list[str]:
    """The test metrics, a sentence per dataset, what is odd about new rows, and where to look first."""
    head = Revision(workspace, "HEAD")
    committed = committed_lock(workspace)
    stored = head.stored(committed) if committed.stages else {}
    rows = [("dataset", "metric", "test", "95 % interval", "baseline", "reference")]
    sentences = []
    for dataset in datasets:
        path = workspace / "reports" / dataset / "metrics.json"
        metrics = files.read_json(path, f"run: dvc repro evaluate@{dataset}")
        rows += [(dataset, name, *cells_of(name, metrics)) for name in metrics["test"]]
        sentences.append(f"{dataset}: {sentence(workspace, dataset, metrics)}.")
        if noted := remark(workspace, dataset, metrics):
            sentences.append(f"{dataset}: {noted}.")
        sentences += [f"{dataset}: ! {line}." for line in told.get(dataset, ())]
        sentences.append(f"{dataset}: {compared(committed, stored, dvc_lock.read(workspace), dataset)}.")
    reports = " ".join(f"reports/{name}/report.html" for name in datasets)
    where = [f"Look first at the report: {reports}", "Compare runs in MLflow: make ui"]
    return [*table(rows, left=2, markdown=False), "", *sentences, "", *where]


def cells_of(name: str, metrics: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    """A metric on the test split, its interval, and those of baseline and reference."""
    ends = metrics["intervals"].get(name, {})
    others = (metrics.get(part, {}).get(name) for part in ("baseline", "reference"))
    test, low, high, *shown = in_common([metrics["test"][name], ends.get("low"), ends.get("high"), *others])
    return test, f"{low} to {high}" if ends else "", *shown


def sentence(workspace: Path, dataset: str, metrics: dict[str, dict[str, Any]]) -> str:
    """What a dataset's metrics mean."""
    hint = f"run: dvc repro train@{dataset}"
    history = report_csv.read_numbers(workspace / "reports" / dataset / "history.csv", hint, ("validation_loss",))
    described = description.read(workspace / "models" / dataset)
    return verdict(metrics, described, history["validation_loss"])


def remark(workspace: Path, dataset: str, metrics: dict[str, dict[str, float]]) -> str:
    """What the spread over seeds says about the difference to the reference, or else to the baseline; nothing if it is larger."""
    metric, value = next(iter(metrics["test"].items()))
    other = next(name for name in ("reference", "baseline") if metric in (metrics.get(name) or {}))
    path, described = workspace / "reports" / dataset / seeds.FILE, description.read(workspace / "models" / dataset)
    return seeds.remark(path, described, metric, value - metrics[other][metric], f"the difference to the {other}")


def compared(committed: Lock, stored: Mapping[str, str], now: Lock, dataset: str) -> str:
    """Whether a dataset's results equal the committed ones: those of dvc.lock, and those that git stores."""
    then, outputs = committed.of([dataset]).outputs(), now.of([dataset]).outputs()
    if not then:
        return "there are no committed results to compare with"
    changed = [path for path, digest in outputs.items() if then.get(path) != digest]
    altered = [path for path, digest in outputs.items() if stored.get(path, digest) != digest]
    if not changed and altered:
        return f"the results are those of the committed {dvc_lock.FILE}, but {', '.join(altered)} was not committed with it"
    if not changed:
        return "the results are identical to the committed ones"
    return f"the results differ from the committed ones in {', '.join(changed)}; to compare them: retrain compare HEAD"
