"""From a question, whether a model may take the place of another one, to an answer with its figures."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from retrain import params, schema
from retrain.data.report_csv import significant
from retrain.errors import RetrainError, UnavailableError
from retrain.evaluation import noninferiority
from retrain.evaluation.intervals import Judged, intervals
from retrain.evaluation.noninferiority import CANNOT_DECIDE, FAIL, FEWEST, HIGHER, METRICS, PASS, Answer, Drop, Errors
from retrain.pipeline import dvc_lock, revisions
from retrain.pipeline.dvc_yaml import Pipeline
from retrain.pipeline.revisions import WORKSPACE, Revision
from retrain.release import ledger, pairs, parameters, results
from retrain.release.pairs import NotComparableError
from retrain.release.parameters import Gate, Limits
from retrain.release.results import RecordedResult
from retrain.schema import Count, Section

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Check", "Decision", "decide", "subjects"]


CHAMPION = "champion"
ROUNDING = 1e-9
"""Part of the error rate by which a sum of its parts may exceed it."""
NONE = Drop(0.0, 0.0, 0.0, 0.0)
"""The drop between a model and itself."""


class Check(Section):
    """One limit, and whether the candidate keeps to it. Figures that are not known are null."""

    kind: Literal["floor", "drop"]
    metric: str
    where: str
    """The rows: empty for all of them, or `target = World`."""
    rows: Count
    limit: float
    answer: Answer
    reason: str = ""
    """Why the rows cannot decide, if it is not their number."""
    against: float | None = None
    """The metric of the other model."""
    candidate: float | None = None
    """That of the candidate."""
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    """The bounds of the drop; for a floor, the 95 % interval of the candidate's metric."""
    decidable: float | None = None
    """The smallest drop that these rows can decide."""

    @property
    def name(self) -> str:
        """What lines call it."""
        return f"{self.metric} where {self.where}" if self.where else self.metric


class Decision(Section):
    """A question and its answer, as the ledger keeps them. The same question has the same answer."""

    answer: Answer
    reason: str
    """Why the two models can't be compared; empty if they were, or if there is no other one."""
    test_sha256: str
    """The digest of the table of test rows."""
    test_rows: Count
    question: dict[str, Any]
    """DVC's digests of the two models' folders, and the parameters."""
    error: float
    """The part of the error rate that this use of the test rows took."""
    use: Count
    """Which use of them it was; 0 if it was not one."""
    checks: tuple[Check, ...]
    at: str = ""
    """When it was answered first, in UTC; empty if it is not in the ledger."""


@dataclass(frozen=True)
class Part:
    """Some of the test rows and their limits."""

    where: str
    rows: "np.ndarray"
    floors: dict[str, float]
    drops: dict[str, float]


@dataclass(frozen=True)
class Asked:
    """What a gate is about."""

    candidate: RecordedResult
    other: RecordedResult | None
    gate: Gate

    @cached_property
    def bins(self) -> int:
        """The number of bins of the calibration error."""
        return int(self.candidate.parameters["evaluate.calibration_bins"])

    @cached_property
    def question(self) -> dict[str, Any]:
        """What the answer depends on, in addition to the test rows."""
        parts = [part for part in self.parts if part.floors or part.drops]
        return {
            "candidate": self.candidate.model_digest,
            "against": self.other.model_digest if self.other else None,
            "confidence": self.gate.confidence,
            "uses": self.gate.uses,
            "limits": [{"where": part.where, "floors": part.floors, "drops": part.drops} for part in parts],
            "calibration_bins": self.bins,
        }

    @property
    def error(self) -> float:
        """The error rate of one use."""
        return (1 - self.gate.confidence) / self.gate.uses

    @cached_property
    def parts(self) -> list[Part]:
        """All test rows, and the slices.

        Raises:
            RetrainError: the predictions have no such column, or there is nothing to check.
        """
        import numpy as np

        where, columns = params.section_path(self.candidate.dataset, params.GATE), self.candidate.predictions
        parts = [self.part("", np.ones(len(columns["target"]), bool), self.gate)]
        for column, values in self.gate.slices.items():
            if column not in columns:
                raise RetrainError(f"{where}.slices", f"unknown column '{column}'", schema.nearest(column, columns))
            cells = np.array(columns[column])
            for value in values:
                if value not in cells:
                    fact = f"no test row has '{value}' in column '{column}'"
                    raise RetrainError(f"{where}.slices", fact, schema.nearest(value, dict.fromkeys(cells.tolist())))
            parts += [self.part(f"{column} = {value}", cells == value, limits) for value, limits in values.items()]
        if not any(part.floors or part.drops for part in parts):
            raise RetrainError(where, "has no limit for this dataset's metrics", "add floors or drops")
        return parts

    def part(self, where: str, rows: "np.ndarray", limits: Limits) -> Part:
        """Some rows with the limits on metrics that this dataset has; the `defaults` section may have others."""
        known = METRICS["classification" if self.candidate.description.task.classes else "regression"]
        floors, drops = (
            {name: limit for name, limit in own.items() if limit is not None and name in known}
            for own in (limits.floors, limits.drops)
        )
        return Part(where, rows, floors, drops)

    @property
    def compares(self) -> bool:
        """Whether there are limits on drops, and another model."""
        return self.other is not None and any(part.drops for part in self.parts)

    def floor_checks(self) -> Iterator[Check]:
        """The floors, which compare the metrics themselves."""
        for part in self.parts:
            own = self.candidate.judged.rows(part.rows)
            values = metrics_of(own, self.bins) if part.floors else {}
            ends = intervals(own) if part.floors else {}
            for metric, floor in part.floors.items():
                value = values.get(metric)
                answer: Answer = CANNOT_DECIDE
                if value is not None:
                    answer = PASS if (value >= floor if metric in HIGHER else value <= floor) else FAIL
                yield Check(
                    kind="floor", metric=metric, where=part.where, rows=len(own), limit=floor, answer=answer,
                    candidate=value, reason=f"there is no {metric}" if value is None else "", **ends.get(metric, {}),
                )  # fmt: skip

    def drop_checks(self, judged: tuple[Judged, Judged] | None, reason: str) -> Iterator[Check]:
        """The limits on drops.

        All of them must hold, so a false pass of one is the only way to a false pass of all (R. L. Berger, "Multiparameter
        hypothesis testing and acceptance sampling", Technometrics 24, 1982). Each may block a good model, so they share
        the error rate of that.

        Args:
            judged: the predictions of the other model and of the candidate, if they can be compared.
            reason: why they can't be compared.
        """
        errors = Errors(self.error, self.error / sum(len(part.drops) for part in self.parts))
        for part in self.parts:
            why, drops = reason, dict[str, Drop]()
            values: list[dict[str, float]] = [{}, {}]
            if judged:
                first, second = (one.rows(part.rows) for one in judged)
                if first.units < FEWEST:
                    why = f"fewer than {FEWEST} {'test rows' if first.groups is None else 'groups of test rows'}"
                drops = noninferiority.drops(first, second, part.drops, self.bins, errors)
                values = [metrics_of(one, self.bins) for one in (first, second)]
            for metric, limit in part.drops.items():
                drop = NONE if self.is_same and metric in drops else drops.get(metric)
                yield Check(
                    kind="drop", metric=metric, where=part.where, rows=int(part.rows.sum()), limit=limit,
                    answer=noninferiority.answer(drop, limit) if drop else CANNOT_DECIDE,
                    reason="" if drop else why or f"no {metric} of both models",
                    against=values[0].get(metric), candidate=values[1].get(metric),
                    **({name: significant(figure) for name, figure in vars(drop).items()} if drop else {}),
                )  # fmt: skip

    @property
    def is_same(self) -> bool:
        """Whether a model is compared with itself."""
        return self.other is not None and self.other.model_digest == self.candidate.model_digest


def metrics_of(judged: Judged, bins: int) -> dict[str, float]:
    """The metrics of some rows."""
    import numpy as np

    found = noninferiority.metrics_of(judged, np.ones((1, len(judged))), bins)
    return {name: significant(values.item()) for name, values in found.items()}


def subjects(
    workspace: Path, dataset: str, against: str | None, copies: Path
) -> tuple[RecordedResult, RecordedResult | None, Gate, Pipeline]:
    """What `decide` is about: the candidate, the other model, and the parameters; and the pipeline, as it takes a while to read.

    Raises:
        RetrainError: the candidate is out of date, or the other model does not exist.
    """
    limits = parameters.read(workspace, dataset)
    pipeline = results.pipeline_of_current(workspace, dataset)
    lock = dvc_lock.read(workspace).of([dataset])
    candidate = RecordedResult(Revision(workspace, ""), WORKSPACE, dataset, lock, copies / "candidate")
    return candidate, other_model(workspace, dataset, against, copies / "other"), limits, pipeline


def other_model(workspace: Path, dataset: str, against: str | None, copies: Path) -> RecordedResult | None:
    """The model to compare with; None if none was named and there is no champion.

    Raises:
        RetrainError: the named one does not exist.
    """
    if against is None or against == CHAMPION:
        entry = ledger.champion(ledger.read(workspace, dataset))
        if entry is None and against:
            hint = f"name a commit: retrain gate {dataset} --against HEAD"
            raise RetrainError(f"dataset '{dataset}'", "has no champion yet", hint)
        return results.champion(workspace, dataset, entry, copies) if entry else None
    revision = revisions.named(workspace, against)
    lock = revision.lock().of([dataset])
    if f"evaluate@{dataset}" not in lock.stages:
        where = f"{dvc_lock.FILE} of {revision.name}"
        raise RetrainError(where, f"has no result of '{dataset}'", "name another commit")
    return RecordedResult(revision, against, dataset, lock, copies)


def decide(folder: Path, candidate: RecordedResult, other: RecordedResult | None, gate: Gate) -> Decision:
    """Answer whether the candidate may take the place of another model, and write it into the ledger.

    A question that the ledger has is answered from there. An answer that did not need the test rows is not written.

    Args:
        folder: the project's folder.
        candidate: the model in question.
        other: the one that it is compared with; None to check the floors only.
        gate: the parameters.

    Raises:
        RetrainError: the candidate's files are not available, there is nothing to check, or the ledger is damaged.
    """
    asked, dataset = Asked(candidate, other, gate), candidate.dataset
    test = candidate.description.splits["test"]
    with ledger.locked(folder, dataset):
        entries = [entry for entry in ledger.read(folder, dataset) if entry["event"] == "gate"]
        earlier = [
            schema.check({name: entry[name] for name in Decision.model_fields if name in entry}, Decision, ledger.path_of(dataset))
            for entry in entries
            if entry.get("test_sha256") == test.sha256
        ]  # fmt: skip
        if known := next((one for one in earlier if one.question == asked.question), None):
            return known
        judged, reason = None, spent(earlier, asked) if asked.compares else ""
        if other is not None and asked.compares and not reason:
            try:
                judged = pairs.paired(candidate, other)
            except (UnavailableError, NotComparableError) as error:
                reason = str(error)
        checks = [*asked.floor_checks(), *(asked.drop_checks(judged, reason) if asked.compares else ())]
        uses = judged is not None and not asked.is_same
        decision = Decision(
            answer=overall(checks),
            reason=reason,
            test_sha256=test.sha256,
            test_rows=test.rows,
            question=asked.question,
            error=asked.error if uses else 0.0,
            use=1 + sum(one.use > 0 for one in earlier) if uses else 0,
            checks=tuple(checks),
        )
        if uses or not asked.compares:
            entry = ledger.append(folder, dataset, "gate", decision.model_dump(mode="json", exclude={"at"}))
            return decision.model_copy(update={"at": entry["at"]})
    return decision


def spent(earlier: list[Decision], asked: Asked) -> str:
    """Why these test rows may not be used again, in words; empty if they may.

    Each use takes an equal part of the error rate, so that all together are wrong with that rate at most, if no question
    depends on an earlier answer. C. Renggli et al., "Continuous integration of machine learning models with ease.ml/ci",
    MLSys 2019.
    """
    taken, all_uses = sum(one.error for one in earlier), 1 - asked.gate.confidence
    if taken + asked.error <= all_uses * (1 + ROUNDING):
        return ""
    count = sum(one.use > 0 for one in earlier)
    return f"the error rate of these test rows is spent after {count} use{'s' if count > 1 else ''}; evaluate on new test rows"


def overall(checks: list[Check]) -> Answer:
    """The answer of all checks together."""
    answers = {check.answer for check in checks}
    if FAIL in answers:
        return FAIL
    return CANNOT_DECIDE if CANNOT_DECIDE in answers else PASS
