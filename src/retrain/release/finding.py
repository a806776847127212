"""The model that a user names: a dataset of the project, a folder, or a registered model."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, params, schema
from retrain.data import sources
from retrain.errors import RetrainError
from retrain.models import description
from retrain.pipeline import dvc_cache, dvc_lock
from retrain.release import ledger

if TYPE_CHECKING:
    from retrain.models.model import Model

__all__ = ["folder_of", "load", "warn_of_other_model"]


def load(workspace: Path, name: str) -> "Model":
    """The model, on as many threads as it was trained with, so that it computes the same bits.

    Raises:
        RetrainError: there is none, or it is damaged.
    """
    folder = folder_of(workspace, name)
    warn_of_other_model(workspace, name, folder)
    environment.pin_unless_loaded(description.read(folder).train.threads)
    from retrain.models import model

    return model.load(folder)


def folder_of(workspace: Path, name: str) -> Path:
    """The folder of a model; raises RetrainError if there is none.

    Args:
        workspace: the project's folder.
        name: a dataset, a folder with `model.json`, or a registered model as MLflow names it: `models:/reviews@champion`.
    """
    if name.startswith("models:"):
        return registered(workspace, name)
    if re.fullmatch(schema.NAME, name) and (workspace / "models" / name).is_dir():
        return workspace / "models" / name
    if Path(name, description.FILE).exists():
        return Path(name)
    path = Path(name)
    if re.fullmatch(schema.NAME, path.name) and (name == path.name or path.absolute().parent == workspace / "models"):
        raise no_model(workspace, path.name)
    if name and not path.exists() and not any((workspace / part).exists() for part in (params.FILE, "models")):
        hint = "run this in the project's folder, or give the whole path"
        raise RetrainError(str(path.absolute()), "does not exist", hint)
    hint = "name a dataset, a model's folder, or models:/NAME@champion"
    raise RetrainError(name or "MODEL", f"is not a folder with {description.FILE}", hint)


def registered(workspace: Path, name: str) -> Path:
    """The folder of a registered model.

    The ledger in git decides which one is the champion: the project's own store follows it, and another store that has no
    champion yet. One that others use too may be ahead of this clone, so it stays as it is.
    """
    from retrain.release import champions
    from retrain.tracking import registry

    if dataset := champion_named(workspace, name):
        client = registry.client_of_store()
        has_own = "MLFLOW_TRACKING_URI" in os.environ and registry.CHAMPION in registry.aliases_of(client, dataset)
        if not has_own:
            require_in_use(workspace, name, dataset)
        if not has_own and not champions.is_aligned(client, workspace, dataset):
            champions.align(client, workspace, dataset)
    return registry.folder_of(name)


def require_in_use(workspace: Path, name: str, dataset: str) -> None:
    """Raise RetrainError if the champion was demoted, and none was before it."""
    change = ledger.last_change(ledger.read(workspace, dataset))
    if change.get("event") == "demoted" and not change.get("model_sha256"):
        fact = (
            f"was demoted on {change['at'][:10]} ({change.get('reason') or 'no reason given'}), and no model is in use"
        )
        hint = f"promote a new one: retrain promote {dataset}"
        raise RetrainError(name, fact, hint)


def champion_named(workspace: Path, name: str) -> str:
    """The dataset whose champion a name means; empty if it means something else, or the dataset has no ledger."""
    found = re.fullmatch(rf"models:/({schema.NAME})@champion", name)
    return found[1] if found and ledger.read(workspace, found[1]) else ""


def warn_of_other_model(workspace: Path, name: str, folder: Path) -> None:
    """Warn if the model that a user named is not the one that the files in git stand for.

    A dataset's model may have learned from other data than params.yaml names now. It may not be the one of dvc.lock, as after
    `git checkout` without `dvc checkout`. A champion may not be the one of the ledger, if the store has other users.
    """
    warn_of_other_champion(workspace, name)
    path, recorded = f"models/{folder.name}", None
    if folder != workspace / path:
        return
    with suppress(RetrainError):  # also with a damaged params.yaml or dvc.lock, the model can answer
        if changed := changed_parameters(workspace, folder.name):
            again = f"to train it again, run: make repro DATASET={folder.name}"
            cli.warn(f"{path} was trained before {' and '.join(changed)} changed in {params.FILE}; {again}")
    with suppress(RetrainError):
        recorded = dvc_lock.read(workspace).outputs().get(path)
    if recorded and dvc_cache.folder_digest(dvc_cache.listing(folder)) != recorded:
        cli.warn(f"{path} is not the model that {dvc_lock.FILE} records; to get that one, run: dvc checkout {path}")


def warn_of_other_champion(workspace: Path, name: str) -> None:
    """Warn if a store that others use too names another champion than the ledger in git."""
    from retrain.release import champions
    from retrain.tracking import registry

    dataset = champion_named(workspace, name)
    if dataset and not champions.is_aligned(registry.client_of_store(), workspace, dataset):
        hint = f"run git pull; if that changes nothing: retrain promote {dataset}"
        cli.warn(f"{name} is not the champion that {ledger.path_of(dataset)} names; {hint}")


def changed_parameters(workspace: Path, dataset: str) -> list[str]:
    """The parameters of prepare that are not those of the model's training; raises RetrainError if there is no such block."""
    section = params.dataset_block(workspace, dataset)["prepare"]
    parameters = schema.check(section, sources.load(section, dataset).parameters, dataset)
    now = parameters.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    then = description.read(workspace / "models" / dataset).prepare.model_dump(mode="json")
    return [f"prepare.{name}" for name in {**then, **now} if then.get(name) != now.get(name)]


def no_model(workspace: Path, dataset: str) -> RetrainError:
    """The error for a dataset without a model: its name is wrong, or it was never trained."""
    datasets = list(map(str, params.datasets(workspace))) if (workspace / params.FILE).exists() else []
    if dataset in datasets and f"models/{dataset}" in dvc_lock.read(workspace).outputs():
        hint = f"run: dvc checkout models/{dataset}; if the cache has lost it: dvc pull models/{dataset}, or make repro DATASET={dataset}"
        return RetrainError(f"dataset '{dataset}'", "has a model in dvc.lock, but not in models/", hint)
    if dataset in datasets:
        return RetrainError(f"dataset '{dataset}'", "has no trained model yet", f"run: make repro DATASET={dataset}")
    trained = [folder.name for folder in (workspace / "models").glob("*") if folder.is_dir()]
    if not datasets and not trained:
        return RetrainError(str(workspace), "has no params.yaml and no models", "run this in the project's folder")
    where = params.FILE if datasets else str(workspace / "models")
    fact = f"has no {'dataset' if datasets else 'model'} '{dataset}'"
    return RetrainError(where, fact, schema.nearest(dataset, {*datasets, *trained}))
