"""Which model is in use: proposed, approved by the gate, replaced, restored. The ledger in git decides; MLflow follows it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from retrain import environment, git
from retrain.errors import RetrainError
from retrain.evaluation.noninferiority import PASS
from retrain.models import description
from retrain.pipeline import dvc_cache, dvc_lock
from retrain.pipeline.dvc_yaml import Pipeline
from retrain.release import ledger, results
from retrain.release.gate import Decision
from retrain.release.results import RecordedResult
from retrain.tracking import registry, runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["align", "demote", "is_aligned", "proposed", "record", "reservation"]


MODEL = ("model_sha256", "result_sha256", "commit", "outputs")
"""The fields of an entry that say which model it is about."""


@dataclass(frozen=True)
class Proposal:
    """A committed result that may become the champion."""

    folder: Path
    dataset: str
    entry: Mapping[str, Any]
    """What the ledger says about it: the fields of `MODEL`."""

    @property
    def is_champion(self) -> bool:
        """Whether it is in use already."""
        current = ledger.champion(ledger.read(self.folder, self.dataset))
        return current is not None and current["result_sha256"] == self.entry["result_sha256"]


def proposed(candidate: RecordedResult, folder: Path, pipeline: Pipeline) -> Proposal:
    """The working tree's result, if git has it.

    Args:
        candidate: the result.
        folder: the project's folder.
        pipeline: the pipeline of that folder.

    Raises:
        RetrainError: the result is not that of the last commit, or its files are not available.
    """
    dataset, outputs = candidate.dataset, dict(candidate.lock.outputs())
    commit = git.text(folder, "rev-parse", "HEAD").strip()
    is_committed = dvc_lock.of_commit(folder, commit).of([dataset]).outputs() == outputs
    changed = results.uncommitted(folder, dataset, pipeline)
    if changed or not is_committed:
        lacks = f"depends on what is not committed ({', '.join(changed)})"
        fact = lacks if is_committed else "is not that of the last commit"
        paths = shlex.join(dict.fromkeys([*changed, dvc_lock.FILE, "reports"]))
        hint = f"commit it: git add {paths} && git commit -m '{dataset}'"
        raise RetrainError(f"the result of '{dataset}'", fact, hint)
    content = candidate.collected().read()
    dvc_cache.put_back(folder, outputs)  # a later training replaces the files in their places
    model = runs.model_sha256(content)
    entry = {"model_sha256": model, "result_sha256": content.sha256, "commit": commit, "outputs": outputs}
    return Proposal(folder, dataset, entry)


def record(client: "MlflowClient", proposal: Proposal, decision: Decision, override: str) -> bool:
    """Write the outcome into the ledger, and return whether the model is the champion now. The same outcome is written once.

    Args:
        client: of MLflow's store, where the proposal's version gets the outcome as its description.
        proposal: the model.
        decision: of the gate.
        override: why it shall be promoted although the gate does not pass; empty to follow the gate.
    """
    evidence = {**proposal.entry, "gate": decision.model_dump(mode="json")}
    reserved = reservation(proposal, decision)
    passed = decision.answer == PASS and not reserved
    if promoted := passed or bool(override):
        overridden = {} if passed else {"override": override}
        with ledger.locked(proposal.folder, proposal.dataset):
            if not proposal.is_champion:  # another process may have promoted it meanwhile
                ledger.append(proposal.folder, proposal.dataset, "promoted", {**evidence, **overridden})
    else:
        entries = ledger.read(proposal.folder, proposal.dataset)
        last: Mapping[str, Any] = next((one for one in reversed(entries) if one["event"] != "gate"), {})
        same = {**evidence, "event": "refused", "commit": last.get("commit")}
        if any(last.get(name) != value for name, value in same.items()):
            ledger.append(proposal.folder, proposal.dataset, "refused", evidence)
    outcome = ("promoted" if passed else f"promoted by override: {override}") if promoted else "refused"
    found = version(client, proposal.folder, proposal.dataset, proposal.entry)
    described = f"Gate: {decision.answer}. {outcome[0].upper()}{outcome[1:]}. {reserved}\n\nEvidence: {ledger.path_of(proposal.dataset)} in git."
    tags = {"gate": decision.answer, "outcome": outcome, "commit": proposal.entry["commit"]}
    registry.tag(client, found, described, tags)
    return promoted


def demote(client: "MlflowClient", folder: Path, dataset: str, reason: str) -> None:
    """Restore the previous champion in the ledger; without one, there is no champion any more. `align` moves the aliases.

    Raises:
        RetrainError: there is no champion, or the files of the previous one are not available. Nothing is changed then.
        StoreError: the store fails.
    """
    with ledger.locked(folder, dataset):
        line = succession(ledger.read(folder, dataset))
        if not line:
            raise RetrainError(f"dataset '{dataset}'", "has no champion", f"promote a model: retrain promote {dataset}")
        previous = line[-2] if len(line) > 1 else {}
        if previous:
            version(client, folder, dataset, previous)
        model = {name: previous[name] for name in MODEL if name in previous}
        replaced = {"replaced": line[-1]["result_sha256"], "reason": reason}
        ledger.append(folder, dataset, "demoted", {**model, **replaced})
    if withdrawn := registry.version_of(client, dataset, line[-1]["result_sha256"]):
        registry.tag(client, withdrawn, f"Demoted: {reason}", {"demoted": reason})


def reservation(proposal: Proposal, decision: Decision) -> str:
    """Why the gate's "pass" is not enough for a model, in words; empty if it is.

    A champion that was demoted passes against the model before it, as it did the first time; and a model that was refused
    passes where nothing is left to compare it with.
    """
    own, entries = proposal.entry["result_sha256"], ledger.read(proposal.folder, proposal.dataset)
    about = [entry for entry in entries if entry.get("replaced", entry.get("result_sha256")) == own]
    last = next((entry for entry in reversed(about) if entry["event"] != "refused"), {"event": ""})
    if last["event"] == "demoted":
        return f"this model was demoted on {last['at'][:10]}: {last['reason']}"
    if about and about[-1]["event"] == "refused" and not decision.checks:
        return f"this model was refused on {about[-1]['at'][:10]}, and there is no other one to compare it with now"
    return ""


def succession(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The champions that a further `demote` would restore, and the current one, which is the last."""
    line: list[Mapping[str, Any]] = []
    for entry in entries:
        if entry["event"] == "promoted":
            twice = line and line[-1]["result_sha256"] == entry["result_sha256"]  # by two branches
            line += [] if twice else [entry]
        elif entry["event"] == "demoted" and line:
            line.pop()
    return line


def is_aligned(client: "MlflowClient", folder: Path, dataset: str) -> bool:
    """Whether MLflow's alias names the champion of the ledger, or the ledger says nothing of champions."""
    entries = ledger.read(folder, dataset)
    if not any(entry["event"] in ("promoted", "demoted") for entry in entries):
        return True
    alias = registry.aliases_of(client, dataset).get(registry.CHAMPION)
    if (entry := ledger.champion(entries)) is None:
        return alias is None
    version = registry.version_of(client, dataset, entry["result_sha256"])
    return version is not None and alias == str(version.version)


def align(
    client: "MlflowClient", folder: Path, dataset: str, challenger: Proposal | None = None
) -> "ModelVersion | None":
    """Let MLflow's aliases say what the ledger says, and return the champion's version.

    A model that this store does not have yet is registered, from the files in DVC's cache.

    Args:
        client: of the store.
        folder: the project's folder.
        dataset: its name.
        challenger: a model that was proposed and is not in use.

    Raises:
        RetrainError: the champion's files are not available.
        StoreError: the store fails.
    """
    entry = ledger.champion(ledger.read(folder, dataset))
    champion = None if entry is None else version(client, folder, dataset, entry)
    proposed = None if challenger is None else version(client, folder, dataset, challenger.entry)
    aliases = {registry.CHAMPION: champion} | ({registry.CHALLENGER: proposed} if proposed else {})
    registry.point(client, dataset, aliases)
    if champion and registry.aliases_of(client, dataset).get(registry.CHALLENGER) == str(champion.version):
        registry.point(client, dataset, {registry.CHALLENGER: None})
    return champion


def version(client: "MlflowClient", folder: Path, dataset: str, entry: Mapping[str, Any]) -> "ModelVersion":
    """The version of the registered model for an entry of the ledger; see `align`."""
    if found := registry.version_of(client, dataset, entry["result_sha256"]):
        return found
    with TemporaryDirectory(prefix="retrain-release-") as copies:
        result = results.champion(folder, dataset, entry, Path(copies)).collected()
        environment.pin_unless_loaded(description.read(result.model).train.threads)  # `register` asks the model
        return registry.register(client, result, runs.record(client, result))
