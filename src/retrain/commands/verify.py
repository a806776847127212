"""`retrain verify`: runs the last commit again in a clean clone and compares the results with dvc.lock."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain import cli, environment, git, params, requirements
from retrain.errors import RetrainError, printable
from retrain.pipeline import causes, clean_clone, comparison, dvc_cache, dvc_lock, dvc_yaml
from retrain.pipeline.clean_clone import Clone
from retrain.pipeline.comparison import Finding, Status
from retrain.pipeline.dvc_cache import OutputFinder
from retrain.pipeline.dvc_lock import Entry, Lock
from retrain.pipeline.revisions import Revision

import click

__all__ = ["command"]


NOT_CACHED = "different bytes; the recorded file is not in DVC's cache (to get it from a remote: dvc fetch)"


@dataclass(frozen=True)
class Outcome:
    """How an output compares with the recorded one."""

    stage: str
    path: str
    findings: tuple[Finding, ...]
    """One for each of its files whose bytes differ."""

    @property
    def status(self) -> Status:
        """The status of its worst file."""
        return max((finding.status for finding in self.findings), default=Status.IDENTICAL)


@click.command(epilog=cli.examples("retrain verify", "retrain verify diabetes", "retrain verify --tolerance 1e-4"))
@click.argument("dataset", required=False)
@click.option(
    "--tolerance",
    default=1e-5,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Tolerance for comparing numbers (absolute below 1, relative above).",
)
@cli.one_line_errors
def command(dataset: str | None, tolerance: float) -> None:
    """Re-run this commit and compare with dvc.lock.

    Runs the pipeline for DATASET, or for every dataset with results in dvc.lock, in a temporary clone without a cache.
    Nothing in the working tree changes, and no run is recorded. Set TMPDIR to choose the disk of the clone.
    The exit code is 0 if every output is identical or equal within the tolerance, and 1 if one differs, or if the
    metrics in the commit are not those that its dvc.lock records.
    """
    workspace = environment.workspace()
    with clean_clone.cloned(workspace) as clone:
        promised = dvc_lock.read(clone.folder)
        datasets = datasets_with_results(clone, promised, dataset)
        click.echo(f"verify {', '.join(datasets)}: commit {clone.commit} runs again in a temporary clone", err=True)
        if code := git.text(workspace, "status", "--porcelain", "--untracked-files=all", "--", "src").splitlines():
            paths = ", ".join(line[3:] for line in code)
            click.echo(f"verify: {printable(paths)} {'is' if len(code) == 1 else 'are'} not committed", err=True)
        if git.text(workspace, "status", "--porcelain", "--untracked-files=no"):
            click.echo("verify: uncommitted changes are ignored (to list them: git status)", err=True)
        then = promised.of(datasets)
        check_committed(clone, then)
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


def datasets_with_results(clone: Clone, promised: Lock, dataset: str | None) -> list[str]:
    """The named dataset, or all that have results.

    Raises:
        RetrainError: there is no such dataset, or it has no results.
    """
    known = [str(name) for name in params.datasets(clone.folder)] if dataset is None else [dataset]
    if dataset is not None:
        if dataset not in params.datasets(clone.folder) and dataset in params.datasets(clone.workspace):
            where = f"the {params.FILE} of the last commit"
            raise RetrainError(where, f"has no dataset '{dataset}'", "commit it first")
        params.dataset_block(clone.folder, dataset)
    datasets = [name for name in known if name in promised.datasets()]
    if not datasets:
        fact = f"has no results{f' for {dataset}' if dataset else ''} in commit {clone.commit}"
        hint = f"run: make repro{f' DATASET={dataset}' if dataset else ''}; then commit dvc.lock"
        raise RetrainError(dvc_lock.FILE, fact, hint)
    return datasets


def check_committed(clone: Clone, then: Lock) -> None:
    """Raise RetrainError if the commit has other metrics than its dvc.lock: running it again would not tell."""
    revision = Revision(clone.folder, clone.commit)
    stored = revision.stored(then)
    for name, stage in then.stages.items():
        for out in stage.outs:
            if stored.get(out.path, out.md5) != out.md5:
                raise revision.another(out.path, dvc_yaml.dataset_of(name))


def compared(clone: Clone, then: Lock, now: Lock, tolerance: float) -> Iterator[Outcome]:
    """How every recorded output compares with the new one."""
    promised, made = then.outputs(), now.outputs()
    for name, stage in then.stages.items():
        for out in stage.outs:
            findings = () if made.get(out.path) == out.md5 else tuple(compared_files(clone, out, tolerance))
            yield Outcome(name, out.path, findings)
        for out in now.stages[name].outs:
            if out.path not in promised:
                yield Outcome(name, out.path, (Finding(Status.DIFFERENT, "is not in dvc.lock"),))


def compared_files(clone: Clone, promised: Entry, tolerance: float) -> Iterator[Finding]:
    """How the files of an output with different bytes compare, as far as the recorded ones are available."""
    finder = OutputFinder.of(clone.workspace, clone.committed)
    path = clone.folder / promised.path
    if not path.exists():
        yield Finding(Status.DIFFERENT, "was not written")
        return
    if not promised.md5.endswith(dvc_cache.FOLDER):
        yield compared_file(finder.file(promised.path, promised.md5), path, tolerance)
        return
    then, now = finder.listing(promised.path, promised.md5), dvc_cache.listing(path)
    if then is None:
        yield Finding(Status.DIFFERENT, NOT_CACHED)
        return
    for name in sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
        if name not in then or name not in now:
            yield Finding(Status.DIFFERENT, f"{name} is {'new' if name in now else 'missing'}")
        else:
            found = compared_file(finder.file(f"{promised.path}/{name}", then[name]), path / name, tolerance)
            yield Finding(found.status, f"{name}: {found.detail}")


def compared_file(then: Path | None, now: Path, tolerance: float) -> Finding:
    """How a file compares with the recorded one, if that is available."""
    if then is None:
        return Finding(Status.DIFFERENT, NOT_CACHED)
    return comparison.compare(then, now, tolerance)


def worst(outcomes: list[Outcome]) -> Status:
    """The worst status of all outputs."""
    return max(outcome.status for outcome in outcomes)


def words(tolerance: float) -> dict[Status, str]:
    """The words for each status."""
    return {Status.IDENTICAL: "identical", Status.EQUAL: f"equal within {tolerance:g}", Status.DIFFERENT: "different"}


def table(outcomes: list[Outcome], tolerance: float) -> list[str]:
    """A line per output, and below it one for each of its files that differs."""
    status = words(tolerance)
    first, second = (max(map(len, column)) for column in zip(*((o.stage, o.path) for o in outcomes), strict=True))
    lines = [""]
    for outcome in outcomes:
        lines.append(f"{outcome.stage:<{first}}  {outcome.path:<{second}}  {status[outcome.status]}")
        lines += [f"    {printable(finding.detail)}" for finding in outcome.findings]  # names of columns are from data
    return [*lines, ""]


def explained(clone: Clone, then: Lock, now: Lock, outcomes: list[Outcome]) -> list[str]:
    """What changed since the results were recorded; if an output differs, also what arithmetic depends on here."""
    known = causes.possible_causes(then, now, recorded_requirements(clone, then))
    if worst(outcomes) is Status.IDENTICAL:
        return paragraph("Changed since the results were recorded, without effect:", known) if known else []
    same = [("nothing", "libraries, inputs and parameters are the same")]
    return [
        *paragraph("Changed since the results were recorded:", known or same),
        *paragraph("This machine (dvc.lock does not record the original one):", causes.machine(now)),
    ]


def paragraph(title: str, facts: list[tuple[str, str]]) -> list[str]:
    """Facts below a title, one per line."""
    width = max(len(subject) for subject, _ in facts)
    return [title, *(f"    {subject:<{width}}  {sentence}" for subject, sentence in facts), ""]


def recorded_requirements(clone: Clone, then: Lock) -> dict[str, str]:
    """The texts of requirements.lock that the results were made with, by digest, if the history has them."""
    wanted = causes.pinned(then)
    texts: dict[str, str] = {}
    for commit in git.text(clone.folder, "rev-list", "HEAD", "--", requirements.FILE).split():
        if wanted <= texts.keys():
            break
        text = git.text(clone.folder, "show", f"{commit}:./{requirements.FILE}")
        texts[dvc_cache.digest(text.encode())] = text
    return texts


def verdict(clone: Clone, outcomes: list[Outcome], tolerance: float) -> str:
    """The last line."""
    leads = {Status.IDENTICAL: "Verified", Status.EQUAL: "Verified, with a note", Status.DIFFERENT: "Not verified"}
    count = Counter(outcome.status for outcome in outcomes)
    counts = ", ".join(f"{count[status]} {word}" for status, word in words(tolerance).items() if count[status])
    return f"{leads[worst(outcomes)]} (commit {clone.commit}). Outputs: {counts}."
