"""A model as MLflow keeps it: a folder that answers raw rows anywhere, without this project.

It holds the weights and `model.json`, the report and the model card, the modules that answer, and the list of packages
that they need.
"""

import logging
import shutil
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.data.raw_rows import is_missing
from retrain.environment import SCRIPTS
from retrain.models import model
from retrain.models.model import Model
from retrain.models.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

__all__ = ["save"]


CODE = ("*.py", "data/**/*.py", "models/**/*.py")
"""The modules that answer, in `retrain/`: `models` and what it may import."""
PACKAGES = (
    "mlflow", "numpy", "pandas", "psutil", "pydantic", "ruamel.yaml", "safetensors", "torch", "unicode-segmentation-rs",
)  # fmt: skip
"""What those modules import, as a test checks. MLflow's own guess names builds of torch, such as 2.13.0+cpu, that no index of pip has."""
EXAMPLE_ROWS = 3
TYPES = {"text": "string", "date": "datetime"}
"""MLflow's types of columns. Numbers and categories have its type `any`, and the model checks them: `double` would refuse whole
numbers, and `string` categories that are numbers. So have times of day: `datetime` would put them on the day of the call."""


def save(folder: Path, result: Result, run_id: str, model_id: str) -> None:
    """Write the folder of a result's model.

    Args:
        folder: where; it must not exist.
        result: the files.
        run_id: its run.
        model_id: what MLflow calls the logged model.

    Raises:
        RetrainError: a file of the model is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of code of its own
        from mlflow import models, pyfunc
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    scorer, loaded = Path(__file__).with_name("pyfunc_model.py"), model.load(result.model)
    code = folder.with_name("code") / "retrain"
    for source in sources():
        target = code / source.relative_to(SCRIPTS / "retrain")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    paths = {"model": result.model, "report": result.reports / "report.html", "card": result.reports / "MODEL_CARD.md"}
    pyfunc.save_model(
        folder,
        mlflow_model=models.Model(run_id=run_id, model_id=model_id),
        python_model=str(scorer),
        code_paths=[str(code)],
        artifacts={name: str(path) for name, path in paths.items() if path.exists()},
        signature=signature(loaded),
        metadata={"columns": dict(zip(loaded.encoder.columns, loaded.encoder.kinds, strict=True))},
        input_example=example(result, loaded),
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES],
    )


def sources() -> Iterator[Path]:
    """The modules that answer."""
    for pattern in CODE:
        yield from sorted((SCRIPTS / "retrain").glob(pattern))


def signature(loaded: Model) -> "ModelSignature":
    """What the model takes, and what it answers."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Map

    encoder, clocks = loaded.encoder, loaded.written.has_clocks
    columns = zip(encoder.columns, encoder.kinds, strict=True)
    anything = AnyType()  # type: ignore[no-untyped-call]
    inputs = Schema([ColSpec(anything if clocks(name) else TYPES.get(kind, anything), name) for name, kind in columns])
    if loaded.predictor.task.to_json().get("classes"):
        outputs = Schema([ColSpec("string", "label"), ColSpec(Map(DataType.double), "probabilities")])
    else:
        ends = ("low", "high") if loaded.predictor.calibration.interval else ()
        outputs = Schema([ColSpec("double", name) for name in ("number", *ends)])
    return ModelSignature(inputs=inputs, outputs=outputs)


def example(result: Result, loaded: Model) -> "pd.DataFrame | None":
    """The first rows of the test split; None where the split is not available."""
    import pandas as pd

    path = result.folder / "data" / result.dataset / "splits" / "test.parquet"
    if not path.exists():
        return None
    rows = pd.read_parquet(path, columns=list(loaded.encoder.columns)).head(EXAMPLE_ROWS)
    numbers = [
        name for name, kind in zip(loaded.encoder.columns, loaded.encoder.kinds, strict=True) if kind == "number"
    ]
    plain: dict[str, Any] = {
        str(name): rows[name] if name in numbers else [None if is_missing(value) else value for value in rows[name]]
        for name in rows
    }
    names = pd.Index(list(plain), dtype=object)  # MLflow compares them with numbers, which other texts do not allow
    return pd.DataFrame(plain).set_axis(names, axis=1)
