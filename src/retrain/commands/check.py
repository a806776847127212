"""`retrain check`: whether params.yaml, dvc.yaml and the data cards fit each other, without running anything."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain import cli, environment, params, schema, yaml_files
from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock, dvc_yaml

import click

__all__ = ["check_stages", "command"]


@click.command(epilog=cli.examples("retrain check", "retrain check reviews"))
@click.argument("names", nargs=-1)
@cli.one_line_errors
def command(names: tuple[str, ...]) -> None:
    """Check the blocks of datasets in seconds.

    Checks all parameters, whether the files that they name are here, the data cards, and the plots and artifacts in dvc.yaml;
    of all datasets, or of NAMES. Nothing is run, downloaded or written. The columns and rows of files are not read:
    the stage prepare checks them.
    """
    workspace = environment.workspace()
    blocks = params.datasets(workspace)
    for name in names:
        params.unchecked_block(workspace, name)
    wrong = 0
    for name in names or map(str, blocks):
        problems = list(problems_of(workspace, name))
        wrong += len(problems)
        click.echo(f"{name}: {'ok' if not problems else ''}".rstrip())
        for problem in problems:
            click.echo(f"  {problem}")
    if not names:
        for problem in strangers(workspace, blocks):
            wrong += 1
            click.echo(f"{dvc_yaml.FILE}: {problem}")
    if wrong:
        fact = f"found {wrong} problem{'s' if wrong > 1 else ''}"
        raise RetrainError("the check", fact, "correct them, and run it again")


def problems_of(workspace: Path, name: str) -> Iterator[str]:
    """What is wrong with a dataset."""
    try:
        block = params.dataset_block(workspace, name)
        params.check_choices(workspace, name)
    except RetrainError as error:
        yield str(error)
        return
    for check in (check_prepare, *STAGES, check_gate):
        try:
            check(workspace, name, block)
        except RetrainError as error:
            yield str(error)
    if not (workspace / "data" / "raw" / name / "README.md").is_file():
        yield f"data/raw/{name}/README.md, the data card, does not exist; write where the rows are from and who may use them"


def has_result(workspace: Path, name: str) -> bool:
    """Whether dvc.lock has a result with a dataset's parameters; 5.0 and 5 differ."""
    content, stages = params.content_of(workspace), dvc_lock.read(workspace).of([name]).stages
    recorded = [stage.parameters() for stage in stages.values()]
    now = [{path: params.value_at(content, path) for path in own} for own in recorded]
    then_text, now_text = (json.dumps(some, sort_keys=True, default=repr) for some in (recorded, now))
    return len(stages) == len(params.STAGES) and then_text == now_text


def check_prepare(workspace: Path, name: str, block: Mapping[str, Any]) -> None:
    """Check the prepare section, and that its files are here."""
    from retrain.data import sources
    from retrain.data.sources import SourceContext

    source = sources.load(block["prepare"], name)
    parameters = schema.check(block["prepare"], source.parameters, params.section_path(name, "prepare"))
    files = [getattr(parameters, part, None) for part in ("train", "test")]
    if not any(file is not None and "://" in file.location for file in files):
        source.fetch(parameters, SourceContext(name, workspace, environment.root()))


def check_split(_workspace: Path, name: str, block: Mapping[str, Any]) -> None:
    """Check the split section."""
    from retrain.data import encoders
    from retrain.data.splitting import Split, check

    where = params.section_path(name, "split")
    parameters = schema.check(block["split"], Split, where)
    check(parameters, where, official=params.value_at(block, "prepare.test") is not None)
    encoder = encoders.load(parameters.encoder.get("name"), f"{where}.encoder.name")
    schema.check(parameters.encoder, encoder.Parameters, f"{where}.encoder")


def check_train(_workspace: Path, name: str, block: Mapping[str, Any]) -> None:
    """Check the train section, and that its choices fit each other, the encoder and the task."""
    from retrain.data import encoders, tasks
    from retrain.training import setup

    where, split = params.section_path(name, "train"), block["split"]
    gives = encoders.load(params.value_at(split, "encoder.name"), where).Encoder.gives
    parameters = schema.check(block["train"], setup.Train, where)
    setup.choices_that_fit(parameters, split, gives, tasks.load(split["task"], where), where)


def check_rest(_workspace: Path, name: str, block: Mapping[str, Any]) -> None:
    """Check the sections evaluate and plot."""
    from retrain.evaluation.parameters import Evaluate, Plot

    schema.check(block["evaluate"], Evaluate, params.section_path(name, "evaluate"))
    schema.check(block["plot"], Plot, params.section_path(name, "plot"))


STAGES = (check_split, check_train, check_rest)


def check_stages(workspace: Path, name: str) -> None:
    """Raise RetrainError if a parameter of a dataset is wrong; those of prepare are checked where its rows are looked for.

    Parameters that already have a result are right. Without them, there is no need to import PyTorch.
    """
    if has_result(workspace, name):
        return
    block = params.dataset_block(workspace, name)
    params.check_choices(workspace, name)
    for check in STAGES:
        check(workspace, name, block)


def check_gate(workspace: Path, name: str, _block: Mapping[str, Any]) -> None:
    """Check the gate section, if there is one."""
    from retrain.release import parameters

    if params.gate_section(workspace, name) is not None:
        parameters.read(workspace, name)


def strangers(workspace: Path, blocks: Mapping[str, Any]) -> Iterator[str]:
    """Plots and artifacts of datasets that are not in params.yaml."""
    content = yaml_files.load_yaml(workspace / dvc_yaml.FILE, dvc_yaml.FILE, "run this inside the repository")
    for item in content.get("plots") or []:
        for title in item if isinstance(item, Mapping) else ():
            if not any(str(title).startswith(f"{name} ") for name in blocks):
                yield f"the plot '{title}' is of no dataset in {params.FILE}; remove it"
    for title, artifact in (content.get("artifacts") or {}).items():
        path = artifact.get("path", "") if isinstance(artifact, Mapping) else ""
        if path.startswith("models/") and path.removeprefix("models/") not in blocks:
            yield f"the artifact '{title}' is of no dataset in {params.FILE}; remove it"
