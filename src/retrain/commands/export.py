"""`retrain export`: writes a trained model for programs that do not have torch, or for other machines."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from retrain import cli, environment, files, schema
from retrain.data.split_table import read_split
from retrain.errors import RetrainError
from retrain.models import description
from retrain.release import finding

import click

__all__ = ["command"]


PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What the extra `onnx` of pyproject.toml installs."""
ROWS = 1000
"""Test rows whose answers are compared."""


@click.command(
    epilog=cli.examples(
        "retrain export docstrings --to onnx",
        "retrain export models:/reviews@champion --to folder --output exports/champion",
    )
)
@click.argument("model")
@click.option("--to", type=click.Choice(["onnx", "folder"]), required=True, help="What to write.")
@click.option("--output", type=click.Path(path_type=Path), help="The folder to write into. Default: exports/DATASET.")
@cli.one_line_errors
def command(model: str, to: str, output: Path | None) -> None:
    """Write a trained model for other programs or machines.

    MODEL is a dataset, the folder of a model, or a registered model. `onnx` is for programs that do not have PyTorch:
    `model.onnx`, with the network, the calibration and the task, and `model.json`, which the encoder needs. The answers
    to 1,000 test rows are compared in onnxruntime first: labels must be equal, and numbers within 1e-5. `folder` is for
    retrain serve and retrain.load elsewhere: the model's own two files.
    """
    here = environment.workspace()
    source = finding.folder_of(here, model)
    finding.warn_of_other_model(here, model, source)
    folder = output or here / "exports" / description.read(source).dataset
    write_onnx(here, source, folder) if to == "onnx" else copy(source, folder)


def copy(source: Path, folder: Path) -> None:
    """Copy a model's files."""
    names = (description.FILE, description.WEIGHTS)
    with files.replacing(*(folder / name for name in names)) as drafts:
        for name, draft in zip(names, drafts, strict=True):
            with files.writing(draft):
                shutil.copyfile(source / name, draft)
    click.echo(f"wrote {folder}/{names[0]} and {names[1]}")


def write_onnx(here: Path, source: Path, folder: Path) -> None:
    """Write a model as ONNX.

    Args:
        here: the project's folder.
        source: the model's folder.
        folder: where to write.

    Raises:
        RetrainError: a package is missing, the model can't be exported, or an answer differs.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        fact = f"needs {schema.enumerated(missing)}"
        raise RetrainError("retrain export", fact, "run: .venv/bin/python -m pip install --editable '.[onnx]'")
    model = finding.load(here, str(source)).predictor
    dataset, splits = model.description.dataset, model.description.splits
    path = here / "data" / dataset / "splits" / "test.parquet"
    rows = {name: column[:ROWS] for name, column in read_split(path, f"run: dvc repro split@{dataset}").items()}
    if "test" not in splits or splits["test"].sha256 != files.sha256(path):
        hint = (
            f"check out the commit of this model, or export the model of this one: retrain export {dataset} --to onnx"
        )
        raise RetrainError(str(source), "was trained on a different split", hint)
    from retrain.models import onnx_export

    with files.replacing(folder / "model.onnx", folder / description.FILE) as (network, described):
        with files.writing(network):
            largest = onnx_export.write(model, rows, network)
        shutil.copyfile(source / description.FILE, described)
        size = network.stat().st_size
    count = len(rows[model.description.task.column])
    click.echo(
        f"wrote {folder}/model.onnx ({size / 1000:,.0f} KB) and model.json; "
        f"the answers to {count:,} test rows are at most {largest:.0e} from those of retrain predict"
    )
