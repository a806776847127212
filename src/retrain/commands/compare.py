"""`retrain compare`: two results, and whether the difference between them means anything."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from retrain import cli, environment, params, schema
from retrain.errors import RetrainError, UnavailableError, printable
from retrain.evaluation import seeds
from retrain.pipeline import dvc_lock, dvc_yaml, revisions
from retrain.pipeline.dvc_lock import Lock
from retrain.pipeline.revisions import WORKSPACE, Revision
from retrain.release import results
from retrain.release.results import METRICS, RecordedResult
from retrain.text_tables import in_common, table

import click

if TYPE_CHECKING:
    from retrain.evaluation.paired import Difference

__all__ = ["command"]


NOT_SET = "(not set)"


@dataclass(frozen=True)
class Comparison:
    """Two results of a dataset."""

    first: RecordedResult
    second: RecordedResult
    markdown: bool

    def lines(self) -> Iterator[str]:
        """All there is to say, the verdict first."""
        title = f"{self.first.dataset}: {self.first.shown} -> {self.second.shown}"
        yield from ["### " + title, ""] if self.markdown else [title]
        headline, other = next(iter(self.first.metrics)), next(iter(self.second.metrics))
        if headline != other:
            yield f"The results can't be compared: one has {headline}, the other {other}."
            return
        paired, problem = self.differences()
        yield self.verdict(headline, paired)
        yield from filter(None, (self.over_seeds(headline), problem))
        yield from ["", *self.metric_table(paired), "", *self.parameter_table(), f"data: {self.data()}."]
        yield from (
            f"{'- ' if self.markdown else '! '}{self.second.shown}: {line}."
            for line in self.second.new_rows(self.first)
        )
        if code := self.code():
            yield from [*([""] if self.markdown else []), f"code: {code}."]

    def differences(self) -> "tuple[Mapping[str, Difference], str]":
        """The paired differences; or none, and a sentence that says why."""
        from retrain.evaluation import paired

        try:
            first, second = self.first.judged, self.second.judged
        except UnavailableError as error:
            return {}, f"The difference has no interval: {error}"
        if not self.same_rows("test"):
            return {}, "The difference has no interval: the test rows differ, so they can't be paired"
        return paired.differences(first, second), ""

    def same_rows(self, split: str) -> bool:
        """Whether both models know a split, with the same rows in the same order."""
        first, second = (side.description.splits.get(split) for side in (self.first, self.second))
        return first is not None and first == second

    def verdict(self, metric: str, paired: "Mapping[str, Difference]") -> str:
        """What the first metric says."""
        first, second, difference, *ends = self.figures(metric, paired)
        values = f"{metric} {first} -> {second}, difference {difference}"
        if metric not in paired:
            return f"{values}."
        verdict = paired[metric].verdict
        interval = f"95 % interval {' to '.join(ends)}, on the same test rows"
        return f"{f'**{verdict}**' if self.markdown else verdict}: {values} ({interval})."

    def figures(self, metric: str, paired: "Mapping[str, Difference]") -> list[str]:
        """A metric of both results, the difference, and the ends of its interval if it has one."""
        then, now, found = self.first.metrics[metric], self.second.metrics[metric], paired.get(metric)
        ends = [found.low, found.high] if found else []
        first, second, *differences = in_common([then, now, now - then, *ends], "+")
        return [first.removeprefix("+"), second.removeprefix("+"), *differences]

    def over_seeds(self, metric: str) -> str:
        """How the difference compares with the spread over seeds, if that of one of the results is known."""
        difference = self.second.metrics[metric] - self.first.metrics[metric]
        for side in (self.second, self.first):
            path = METRICS.format(side.dataset).replace("metrics.json", seeds.FILE)
            content = side.revision.read(path)
            found = None if content is None else seeds.read(side.kept(path, content))
            with suppress(UnavailableError):
                fits = found and found.made_with == seeds.made_with(side.description)
                if found and fits and metric in found.whole.spread:
                    return f"The difference is {seeds.sizes(found, metric, difference)}."
        return ""

    def metric_table(self, paired: "Mapping[str, Difference]") -> list[str]:
        """The metrics that both results have."""
        rows = [["metric", self.first.shown, self.second.shown, "difference", "95 % interval", ""]]
        for name in self.first.metrics:
            if name in self.second.metrics:
                *values, difference, low, high = [*self.figures(name, paired), "", ""][:5]
                judged = [f"{low} to {high}", paired[name].verdict] if name in paired else ["", ""]
                rows.append([name, *values, difference, *judged])
        return table(rows if paired else [row[:4] for row in rows], left=1, markdown=self.markdown)

    def parameter_table(self) -> list[str]:
        """The parameters that differ."""
        first, second = self.first.parameters, self.second.parameters
        names = [name for name in dict.fromkeys((*first, *second)) if first.get(name) != second.get(name)]
        if not names:
            return ["parameters: the same."]
        cells = [
            [name, *(printable(schema.shortened(side.get(name, NOT_SET), 60)) for side in (first, second))]
            for name in names
        ]
        rows = [["parameter", self.first.shown, self.second.shown], *cells]
        return [*table(rows, left=3, markdown=self.markdown), ""]

    def data(self) -> str:
        """Whether the rows of the splits are the same, and their numbers."""
        try:
            first, second = self.first.description, self.second.description
        except UnavailableError:
            path = f"data/{self.first.dataset}/splits"
            same = self.first.lock.outputs().get(path) == self.second.lock.outputs().get(path)
            return "the same rows in all splits" if same else "the rows of the splits differ"
        parts = []
        for name in dict.fromkeys((*first.splits, *second.splits)):
            counts = [f"{side.splits[name].rows:,}" if name in side.splits else "none" for side in (first, second)]
            change = " -> ".join(dict.fromkeys(counts))
            parts.append(f"{name} {change}{'' if self.same_rows(name) else ' (different rows)'}")
        same = all(map(self.same_rows, first.splits | second.splits))
        return f"{'the same rows in all splits: ' if same else ''}{', '.join(parts)}"

    def code(self) -> str:
        """The modules that differ."""
        first, second = self.first.code, self.second.code
        changed = sorted(path for path in {*first, *second} if first.get(path) != second.get(path))
        return f"{schema.some_of(changed)} differ{'s' if len(changed) == 1 else ''}" if changed else ""


@click.command(
    epilog=cli.examples(
        "retrain compare HEAD", "retrain compare main my-experiment --dataset diabetes", "retrain compare HEAD~1 HEAD --markdown"
    )
)  # fmt: skip
@click.argument("first", metavar="REV")
@click.argument("second", metavar="[REV]", default=WORKSPACE)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    help="A dataset to compare; may be repeated.  [default: all]",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@cli.one_line_errors
def command(first: str, second: str, datasets: tuple[str, ...], markdown: bool) -> None:  # noqa: FBT001 (click gives it by name)
    """Compare the results of two revisions.

    A REV is a commit, a branch, a tag or the name of a DVC experiment; the second one is the workspace unless you name
    another. Shows the metrics with their differences, and the parameters, data and code that differ. Where both models
    were evaluated on the same test rows, each difference has a 95 % interval. Results come from git and DVC's cache.
    """
    workspace = environment.workspace()
    dvc_yaml.check_repository(workspace)
    shown = {name: revisions.named(workspace, name) for name in (first, second)}
    locks = {name: revision.lock() for name, revision in shown.items()}
    with TemporaryDirectory(prefix="retrain-compare-") as folder:
        for number, dataset in enumerate(chosen(shown, locks, datasets)):
            sides = []
            for place, name in enumerate((first, second)):
                copies = Path(folder, str(number), str(place))
                sides.append(RecordedResult(shown[name], name, dataset, locks[name].of([dataset]), copies))
            then, now = sides
            lines = list(Comparison(then, now, markdown=markdown).lines())
            if WORKSPACE in shown and dataset in params.datasets(workspace):
                warn_of_old_result(workspace, dataset)
            click.echo("\n".join(["", *lines] if number else lines))


def warn_of_old_result(workspace: Path, dataset: str) -> None:
    """Warn if parameters, data or code have changed since the result of the working tree was made."""
    try:
        results.pipeline_of_current(workspace, dataset)
    except RetrainError as error:
        cli.warn(str(error))


def chosen(shown: Mapping[str, Revision], locks: Mapping[str, Lock], datasets: tuple[str, ...]) -> list[str]:
    """The datasets to compare.

    Raises:
        RetrainError: a revision has no result of one of them, or they have none in common.
    """
    evaluated = {
        name: [dataset for dataset in lock.datasets() if f"evaluate@{dataset}" in lock.stages]
        for name, lock in locks.items()
    }
    for name, known in evaluated.items():
        for dataset in datasets:
            if dataset not in known:
                where = f"{dvc_lock.FILE} of {shown[name].name}"
                raise RetrainError(where, f"has no result of '{dataset}'", schema.nearest(dataset, known))
    first, *others = evaluated.values()
    common = [dataset for dataset in first if all(dataset in known for known in others)]
    if not common:
        names = " and ".join(dict.fromkeys(revision.name for revision in shown.values()))
        fact = f"has no dataset with results in {names}"
        raise RetrainError(dvc_lock.FILE, fact, "run: make repro; then commit dvc.lock")
    return list(dict.fromkeys(datasets)) or common
