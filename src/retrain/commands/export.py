"""`retrain export`: writes a trained model for programs that do not have torch."""

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


@click.command(epilog=cli.examples("retrain export docstrings --to onnx"))
@click.argument("dataset")
@click.option("--to", type=click.Choice(["onnx"]), required=True, help="The format of the file.")
@click.option("--output", type=click.Path(path_type=Path), help="The folder to write into. Default: exports/DATASET.")
@cli.one_line_errors
def command(dataset: str, to: str, output: Path | None) -> None:
    """Write a trained model for programs that do not have PyTorch.

    Writes `model.onnx`, with the network, the calibration and the task, and `model.json`, which the encoder needs. The
    answers to 1,000 test rows are compared in onnxruntime first: labels must be equal, and numbers within 1e-5.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        fact = f"needs {schema.enumerated(missing)}"
        raise RetrainError("retrain export", fact, "run: .venv/bin/python -m pip install --editable '.[onnx]'")
    here = environment.workspace()
    source = finding.folder_of(here, dataset)
    model = finding.load(here, str(source)).predictor
    dataset, splits = model.description.dataset, model.description.splits
    path = here / "data" / dataset / "splits" / "test.parquet"
    rows = {name: column[:ROWS] for name, column in read_split(path, f"run: dvc repro split@{dataset}").items()}
    if "test" not in splits or splits["test"].sha256 != files.sha256(path):
        raise RetrainError(dataset, "was trained on a different split", f"run: dvc repro train@{dataset}")
    from retrain.models import onnx_export

    folder = output or here / "exports" / dataset
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
