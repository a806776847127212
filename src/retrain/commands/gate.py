"""`retrain gate`: whether a new model may take the place of another one."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import cli, environment, params
from retrain.errors import printable
from retrain.evaluation.noninferiority import CANNOT_DECIDE, FAIL, PASS, RELATIVE
from retrain.release import gate, ledger
from retrain.release.gate import Check, Decision
from retrain.text_tables import in_common, table

import click

__all__ = ["CODES", "Shown", "command", "warn_of_former"]


CODES = {PASS: 0, FAIL: 1, CANNOT_DECIDE: 2}
HEADER = ["", "limit", "other", "candidate", "drop", "at most", "can decide", "answer"]


@dataclass(frozen=True)
class Shown:
    """A decision for people."""

    dataset: str
    against: str
    """What the user calls the other model; empty if there is no other one."""
    decision: Decision
    markdown: bool

    def lines(self) -> Iterator[str]:
        """The verdict, a table, and which question was answered."""
        found, name = self.decision, printable(f"{self.dataset}: {self.decision.answer}")
        verdict = self.verdict()
        end = "" if "run: " in verdict else "."  # nothing sticks to a command
        yield f"{f'**{name}**' if self.markdown else name}: {verdict}{end}"
        if found.checks:
            yield from ["", *table([HEADER, *map(cells, found.checks)], left=1, markdown=self.markdown), ""]
        yield from self.question()

    def verdict(self) -> str:
        """The check that decides, in one clause."""
        found = self.decision
        if found.reason:
            return found.reason
        if not found.checks:
            return "nothing was checked, because there is no champion and no floor"
        deciding = [check for check in found.checks if check.answer == found.answer]
        others = f", and {len(deciding) - 1} more" if len(deciding) > 1 else ""
        return f"{clause(deciding[0])}{others}"

    def question(self) -> Iterator[str]:
        """Which question was answered, and what it took."""
        found = self.decision
        rows = f"{found.test_rows:,} test rows"
        if not self.against:
            yield f"There is no champion to compare with, so the {rows} only answer whether the candidate keeps to the floors."
            return
        if found.question["against"] == found.question["candidate"]:
            yield f"The candidate is the same model as {self.against}."
            return
        yield (
            f"These {rows} compare two models, {self.against} and the candidate. "
            f"Whether one recipe is better is a question for seeds: retrain seeds {self.dataset}"
        )
        if found.use:
            uses = found.question["uses"]
            rate = f"{100 * (1 - found.error):.4f}".rstrip("0").rstrip(".")
            yield f"Use {found.use} of {uses} of these rows ({found.at[:10]}), at {rate} % confidence."


def clause(check: Check) -> str:
    """What a check found, in words."""
    name = printable(check.name)
    if check.reason:
        return f"{name}: {check.reason}"
    if check.kind == "floor":
        inside = check.low is not None and check.high is not None and check.low <= check.limit <= check.high
        words = {PASS: "keeps to", FAIL: "misses"}[check.answer]
        sure = ", which is within its 95 % interval" if inside else ""
        value, limit = in_common([check.candidate, check.limit])
        return f"{name} {value} {words} the floor {limit}{sure}"
    drop, high, limit, decidable = (
        amount(check, value) for value in (check.drop, check.high, check.limit, check.decidable)
    )
    if check.answer == PASS:
        most = f"drops by {high} at most" if check.high and check.high > 0 else "does not drop"
        return f"{name} {most} (limit {limit})"
    if check.answer == FAIL:
        return f"{name} drops by {drop}, at most {high} (limit {limit})"
    return f"{check.rows:,} test rows can decide a drop of {name} from {decidable} on, and the limit is {limit}"


def cells(check: Check) -> list[str]:
    """A check as a row of the table; for a floor, only the metric and its limit."""
    if check.kind == "floor":
        limit, value = in_common([check.limit, check.candidate])
        return [printable(f"{check.name}, floor"), limit, "", value, "", "", "", check.answer]
    figures = (check.drop, check.high, check.decidable)
    return [
        printable(f"{check.name}, drop"), amount(check, check.limit), *in_common([check.against, check.candidate]),
        *(amount(check, value) for value in figures), check.answer,
    ]  # fmt: skip


def amount(check: Check, value: float | None) -> str:
    """A drop or its limit, in the metric's unit or as a percentage of the other model's value."""
    if value is None:
        return ""
    return f"{100 * value:.2f} %" if check.metric in RELATIVE else f"{value:.4f}"


@click.command(epilog=cli.examples("retrain gate diabetes", "retrain gate reviews --against main --markdown"))
@click.argument("dataset")
@click.option(
    "--against", metavar="REV", help="A commit, a branch, a tag, a DVC experiment, or 'champion'.  [default: the champion if there is one]"
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@cli.one_line_errors
def command(dataset: str, against: str | None, *, as_json: bool, markdown: bool) -> None:
    """Say whether a model may replace another one.

    The candidate is the evaluated result of DATASET in the working tree. It must reach the floors of `gate` in
    params.yaml, and must not be worse than the other model by more than its drops, judged on the same test rows at a
    stated confidence. Each answer is a use of these rows, and is written into releases/DATASET.jsonl, which belongs in
    git. The same question again is answered from there.

    The exit code is 0 for "pass", 1 for "fail" and 2 for "cannot decide". An error has exit code 1, and a wrong command
    line 2, but only an answer prints something on standard output.
    """
    if as_json and markdown:
        raise click.UsageError("give --json or --markdown, not both")
    with TemporaryDirectory(prefix="retrain-gate-") as copies:
        workspace = environment.workspace()
        candidate, other, limits, _ = gate.subjects(workspace, dataset, against, Path(copies))
        if other is None:
            warn_of_former(workspace)
        decision = gate.decide(workspace, candidate, other, limits)
    shown = f"{other.shown} ({other.revision.name})" if other else ""
    if as_json:
        content = {"dataset": dataset, "against": other.shown if other else None, **decision.model_dump(mode="json")}
        click.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        click.echo("\n".join(Shown(dataset, shown, decision, markdown).lines()))
    sys.exit(CODES[decision.answer])


def warn_of_former(workspace: Path) -> None:
    """Warn of champions that a model is not compared with, because its dataset may have had another name."""
    for name in ledger.former(workspace):
        fact = f"has the champion of '{name}', which is not in {params.FILE}"
        cli.warn(
            f"{ledger.path_of(name)} {fact}: if the dataset was renamed, give it back this name to compare with it"
        )
