"""`retrain verify`: the pipeline of this commit run again from nothing, and what it made beside what was promised."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain import cli, environment, git, params
from retrain.errors import RetrainError, printable
from retrain.pipeline import causes, clean_clone, comparison, dvc_cache, dvc_lock
from retrain.pipeline.clean_clone import Clone
from retrain.pipeline.comparison import Finding, Status
from retrain.pipeline.dvc_cache import Kept
from retrain.pipeline.dvc_lock import Entry, Lock

import click

NOT_AT_HAND = "other bytes; the earlier ones are not here to compare with (dvc fetch gets them from a remote)"


@dataclass(frozen=True)
class Outcome:
    """How an output compares with what was promised."""

    stage: str
    path: str
    findings: tuple[Finding, ...]
    """One for each of its files that is not the same bytes."""

    @property
    def status(self) -> Status:
        """The worst of its files."""
        return max((finding.status for finding in self.findings), default=Status.IDENTICAL)


@click.command()
@click.argument("dataset", required=False)
@click.option(
    "--tolerance",
    default=1e-5,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How far numbers may lie apart and still count as equal: absolute below 1, relative above.",
)
@cli.one_line_errors
def command(dataset: str | None, tolerance: float) -> None:
    """Run the pipeline of this commit again in a clean clone, and compare what it makes with what dvc.lock promises.

    For DATASET, or for every dataset that dvc.lock has results of. Nothing is taken from a cache, no run is recorded,
    nothing here changes; TMPDIR says where the clone has room. Ends with 0 where every output is identical, or equal
    within the tolerance, which is noted, and with 1 where one is different.
    """
    workspace = environment.workspace()
    with clean_clone.cloned(workspace) as clone:
        promised = dvc_lock.read(clone.folder)
        datasets = chosen(clone, promised, dataset)
        click.echo(f"verify {', '.join(datasets)}: commit {clone.commit} runs again in a temporary clone", err=True)
        if git.text(workspace, "status", "--porcelain"):
            click.echo("verify: uncommitted changes take no part (git status shows them)", err=True)
        then = promised.of(datasets)
        clean_clone.run(clone, datasets, list(then.stages))
        now = dvc_lock.read(clone.folder).of(datasets)
        outcomes = list(compared(clone, then, now, tolerance))
        report = [
            *table(outcomes, tolerance),
            *explained(clone, then, now, outcomes),
            verdict(clone, outcomes, tolerance),
        ]
    click.echo("\n".join(report))
    if worst(outcomes) is Status.DIFFERENT:
        sys.exit(1)


def chosen(clone: Clone, promised: Lock, dataset: str | None) -> list[str]:
    """The named dataset, or all that have results.

    Raises:
        RetrainError: there is no such dataset, or there are no results.
    """
    known = [str(name) for name in params.datasets(clone.folder)] if dataset is None else [dataset]
    if dataset is not None:
        params.dataset_block(clone.folder, dataset)
    datasets = [name for name in known if name in promised.datasets()]
    if not datasets:
        fact = f"commit {clone.commit} has no results{f' of {dataset}' if dataset else ''}"
        hint = f"make and commit them: make repro{f' DATASET={dataset}' if dataset else ''}"
        raise RetrainError(dvc_lock.FILE, fact, hint)
    return datasets


def compared(clone: Clone, then: Lock, now: Lock, tolerance: float) -> Iterator[Outcome]:
    """How every promised output compares with the one that was made."""
    promised, made = then.outputs(), now.outputs()
    for name, stage in then.stages.items():
        for out in stage.outs:
            findings = () if made.get(out.path) == out.md5 else tuple(compared_files(clone, out, tolerance))
            yield Outcome(name, out.path, findings)
        for out in now.stages[name].outs:
            if out.path not in promised:
                yield Outcome(name, out.path, (Finding(Status.DIFFERENT, "dvc.lock does not have it"),))


def compared_files(clone: Clone, promised: Entry, tolerance: float) -> Iterator[Finding]:
    """How the files of an output that is not the same bytes compare, as far as earlier ones are at hand."""
    kept = Kept(clean_clone.cache_folder(clone.workspace), (clone.committed, clone.workspace))
    path = clone.folder / promised.path
    if not path.exists():
        yield Finding(Status.DIFFERENT, "is not made any more")
        return
    if not promised.md5.endswith(dvc_cache.FOLDER):
        yield compared_file(kept.file(promised.path, promised.md5), path, tolerance)
        return
    then, now = kept.listing(promised.path, promised.md5), dvc_cache.listing(path)
    if then is None:
        yield Finding(Status.DIFFERENT, NOT_AT_HAND)
        return
    for name in sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
        if name not in then or name not in now:
            yield Finding(Status.DIFFERENT, f"{name} is {'new' if name in now else 'missing'}")
        else:
            found = compared_file(kept.file(f"{promised.path}/{name}", then[name]), path / name, tolerance)
            yield Finding(found.status, f"{name}: {found.detail}")


def compared_file(then: Path | None, now: Path, tolerance: float) -> Finding:
    """How a file compares with the earlier one, if that is at hand."""
    if then is None:
        return Finding(Status.DIFFERENT, NOT_AT_HAND)
    return comparison.compare(then, now, tolerance)


def worst(outcomes: list[Outcome]) -> Status:
    """The status of all outputs together."""
    return max(outcome.status for outcome in outcomes)


def words(tolerance: float) -> dict[Status, str]:
    """What a status is called."""
    return {Status.IDENTICAL: "identical", Status.EQUAL: f"equal within {tolerance:g}", Status.DIFFERENT: "different"}


def table(outcomes: list[Outcome], tolerance: float) -> list[str]:
    """A line per output, and below it one for each of its files that is not the same bytes."""
    said = words(tolerance)
    first, second = (max(map(len, column)) for column in zip(*((o.stage, o.path) for o in outcomes), strict=True))
    lines = [""]
    for outcome in outcomes:
        lines.append(f"{outcome.stage:<{first}}  {outcome.path:<{second}}  {said[outcome.status]}")
        lines += [f"    {printable(finding.detail)}" for finding in outcome.findings]  # names of columns hold classes
    return [*lines, ""]


def explained(clone: Clone, then: Lock, now: Lock, outcomes: list[Outcome]) -> list[str]:
    """What is other than it was; and where an output is not identical, also what the arithmetic of now depends on."""
    known = causes.differences(then, now, requirements(clone, then))
    if worst(outcomes) is Status.IDENTICAL:
        return paragraph("Other than when the results were made, without effect:", known) if known else []
    same = [("nothing", "libraries, inputs and parameters are those of then")]
    return [
        *paragraph("Other than when the results were made:", known or same),
        *paragraph("Here, and of then not recorded:", causes.circumstances(now)),
    ]


def paragraph(title: str, facts: list[tuple[str, str]]) -> list[str]:
    """Facts below a title, a line each."""
    width = max(len(subject) for subject, _ in facts)
    return [title, *(f"    {subject:<{width}}  {sentence}" for subject, sentence in facts), ""]


def requirements(clone: Clone, then: Lock) -> dict[str, str]:
    """The requirements.lock that results were made with, by digest, as far as the commit or its history has it."""
    wanted = causes.pinned(then)
    texts: dict[str, str] = {}
    for commit in git.text(clone.folder, "rev-list", "HEAD", "--", causes.REQUIREMENTS).split():
        if wanted <= texts.keys():
            break
        text = git.text(clone.folder, "show", f"{commit}:{causes.REQUIREMENTS}")
        texts[dvc_cache.digest(text.encode())] = text
    return texts


def verdict(clone: Clone, outcomes: list[Outcome], tolerance: float) -> str:
    """The last line."""
    leads = {Status.IDENTICAL: "Verified", Status.EQUAL: "Verified, with a note", Status.DIFFERENT: "Not verified"}
    count = Counter(outcome.status for outcome in outcomes)
    counts = ", ".join(f"{count[status]} {word}" for status, word in words(tolerance).items() if count[status])
    return f"{leads[worst(outcomes)]} (commit {clone.commit}). Outputs: {counts}."
