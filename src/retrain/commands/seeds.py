"""`retrain seeds`: how much the metrics depend on the seed, and on the number of train rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retrain import cli, environment, files, params
from retrain.commands.repro import check_writable
from retrain.data import encoding_file
from retrain.data.splitting import Split
from retrain.errors import RetrainError
from retrain.evaluation import seeds
from retrain.evaluation.seeds import Seeds, Share, Spread, Trained
from retrain.models.result import Result
from retrain.pipeline import stage_runs
from retrain.pipeline.stage_runs import Work
from retrain.text_tables import in_common, table
from retrain.tracking import groups, recording, store
from retrain.tracking.groups import Group
from retrain.tracking.store import StoreError
from retrain.training.setup import Train

import click

__all__ = ["command"]


SHOWN = 4
"""Metrics in the tables; the file has all of them."""
STATISTICS = {"mean": "mean", "standard deviation": "deviation", "least": "least", "largest": "largest"}
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Plan:
    """A training to run."""

    dataset: str
    seed: int
    share: float
    folder: Path

    @property
    def result(self) -> Result:
        """Its files, once it has run."""
        return Result(self.dataset, self.folder, ("train", "evaluate"))

    @property
    def name(self) -> str:
        """What lines and runs call it."""
        return f"seed {self.seed}" + (f", {percent(self.share)} of the train rows" if self.share < 1 else "")

    def trained(self) -> Trained:
        """What came out of it."""
        described = self.result.description()
        return Trained(seed=self.seed, best_epoch=described.best_epoch, metrics=self.result.judged()["test"])


def fractions_of(context: click.Context, option: click.Parameter, value: str) -> tuple[float, ...]:
    """Fractions such as `0.1,0.3,1`, ascending; that of all rows is always among them."""
    try:
        fractions = {float(part) for part in value.split(",")}
    except ValueError:
        fractions = {0.0}
    if not all(0 < fraction <= 1 for fraction in fractions):
        raise click.BadParameter(f"{value!r} must be numbers above 0 and up to 1, such as 0.1,0.3,1", context, option)
    return tuple(sorted(fractions | {1.0}))


@click.command(epilog=cli.examples("retrain seeds diabetes", "retrain seeds diabetes -n 3 --fractions 0.1,0.3,1"))
@click.argument("dataset")
@click.option(
    "-n", "count", default=5, show_default=True, type=click.IntRange(2, 1000), help="How many seeds, from the present one on."
)  # fmt: skip
@click.option(
    "--fractions", default="1", callback=fractions_of, metavar="LIST",
    help="Also train with these fractions of the train rows, each with every seed: a learning curve.",
)  # fmt: skip
@cli.one_line_errors
def command(dataset: str, count: int, fractions: tuple[float, ...]) -> None:
    """Train with several seeds and show the spread.

    Trains and evaluates DATASET with N values of train.loop.seed. The split stays the same. Writes
    reports/DATASET/seeds.json, and a run with a child run per training to MLflow. The project's own model, reports and
    dvc.lock do not change; an interrupted command writes nothing. Set TMPDIR to choose the disk of the models.
    """
    workspace = environment.workspace()
    if recording.is_on():
        recording.check_store()
    block = params.dataset_block(workspace, dataset)
    check_split(workspace, dataset)
    first = params.read(workspace, dataset, "train", Train).loop.seed
    if first + count - 1 > LARGEST_SEED:
        fact = f"is {first}, and there are not {count} seeds from there on"
        raise RetrainError(f"{params.section_path(dataset, 'train')}.loop.seed", fact, "lower it")
    path = workspace / "reports" / dataset / seeds.FILE
    check_writable(workspace)
    with TemporaryDirectory(prefix="retrain-seeds-") as folder:
        plans = [
            Plan(dataset, seed, share, Path(folder).resolve() / str(share) / str(seed))
            for share in fractions
            for seed in range(first, first + count)
        ]
        stage_runs.run(dataset, prepared(workspace, block, plans))
        found = collected(plans)
        with files.replacing(path) as (draft,):
            files.write_json(draft, found.model_dump(mode="json"))
        click.echo("\n".join(report(found, markdown=False)))
        click.echo(f"\nwrote {path.relative_to(workspace)}")
        if recording.is_on():
            record(plans, found, path)


def check_split(workspace: Path, dataset: str) -> None:
    """Raise RetrainError if the encoded examples are missing, or are from other parameters than the present ones."""
    hint = f"run: dvc repro split@{dataset}"
    folder = workspace / "data" / dataset
    encoding = encoding_file.read_encoding(folder / "examples")
    now = params.read(workspace, dataset, "split", Split).model_dump(mode="json", exclude_none=True)
    if encoding.split != now:
        raise RetrainError(f"data/{dataset}/examples", "were made with other parameters of split", hint)
    for name in ("prepared", "splits"):
        if not (folder / name).is_dir():
            raise RetrainError(f"data/{dataset}/{name}", "does not exist", hint)


def prepared(workspace: Path, block: Mapping[str, Any], plans: Sequence[Plan]) -> list[Work]:
    """Make the folders of the trainings, and list what runs in them: one split per share, and everything with each seed."""
    works: list[Work] = []
    data = workspace / "data" / plans[0].dataset
    for number, plan in enumerate(plans, start=1):
        inputs, split = data, block["split"]
        if plan.share < 1:
            own_share = split.get("train_share") or 1.0
            split = {**split, "train_share": own_share * plan.share}
            inputs = plan.folder.parent / "data" / plan.dataset
            if not plan.folder.parent.exists():
                stage_runs.make_project(
                    plan.folder.parent, plan.dataset, {**block, "split": split}, [data / "prepared"]
                )
                works.append(Work(plan.folder.parent, ("split",), ""))
        train = {**block["train"], "loop": {**block["train"]["loop"], "seed": plan.seed}}
        evaluate = {**block["evaluate"], "reference": "none"}  # it does not depend on the seed
        own = {**block, "split": split, "train": train, "evaluate": evaluate}
        stage_runs.make_project(plan.folder, plan.dataset, own, [inputs / "splits", inputs / "examples"])
        title = f"seeds {plan.dataset}: {plan.name} ({number} of {len(plans)})"
        works.append(Work(plan.folder, ("train", "evaluate"), title))
    return works


def collected(plans: Sequence[Plan]) -> Seeds:
    """What came out of all trainings."""
    shares = []
    for share in dict.fromkeys(plan.share for plan in plans):
        own = [plan for plan in plans if plan.share == share]
        runs = tuple(plan.trained() for plan in own)
        rows = own[0].result.description().splits["train"].rows
        shares.append(Share(share=share, rows=rows, spread=seeds.spread_of(runs), runs=runs))
    return Seeds(made_with=seeds.made_with(plans[-1].result.description()), shares=tuple(shares))


def report(found: Seeds, *, markdown: bool) -> list[str]:
    """The table of seeds with all train rows, and the learning curve if there is one."""
    runs, names = found.whole.runs, list(found.whole.spread)[:SHOWN]
    columns = [["seed", *(str(run.seed) for run in runs), *STATISTICS]]
    for name in names:
        spread = found.whole.spread[name]
        statistics = [getattr(spread, field) for field in STATISTICS.values()]
        columns.append([name, *in_common([*(run.metrics[name] for run in runs), *statistics])])
    columns.append(["best epoch", *(str(run.best_epoch) for run in runs), *("" for _ in STATISTICS)])
    rows = list(zip(*columns, strict=True))
    lines = table(rows, left=1, markdown=markdown)
    if len(found.shares) > 1:
        curve = [["share", "train rows", *names]]
        curve += [
            [percent(share.share), f"{share.rows:,}", *(in_words(share.spread[name]) for name in names)]
            for share in found.shares
        ]
        lines += ["", "Learning curve: mean ± standard deviation", "", *table(curve, left=1, markdown=markdown)]
    return lines


def in_words(spread: Spread) -> str:
    """A mean with its standard deviation."""
    return " ± ".join(in_common([spread.mean, spread.deviation]))


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:g} %"


def record(plans: Sequence[Plan], found: Seeds, path: Path) -> None:
    """Record the trainings in MLflow; a store that fails gets a warning, because the file is written."""
    spread = found.whole.spread
    metrics = {f"test/{name}": one.mean for name, one in spread.items()}
    metrics |= {f"test_deviation/{name}": one.deviation for name, one in spread.items()}
    dataset, first, last = plans[0].dataset, plans[0].seed, plans[-1].seed
    title = f"seeds {first} to {last}" + (f", {len(found.shares)} shares of the rows" if len(found.shares) > 1 else "")
    group = Group(dataset, title, metrics, "\n".join(report(found, markdown=True)), path)
    children = {plan.name: plan.result for plan in plans}
    try:
        groups.record(store.connect(), group, children)
    except StoreError as error:
        cli.warn(f"{error}; the runs are not in MLflow")
