"""Imports go down, and each heavy library has one home."""

import subprocess
import sys
from graphlib import TopologicalSorter

from retrain.params import STAGES

import pytest
from support.imports import SRC, imported, modules, own

MAY_IMPORT = {
    "shared": set(),
    "data": {"shared"},
    "models": {"shared", "data"},
    "pipeline": {"shared", "data"},
    "training": {"shared", "data", "models"},
    "tracking": {"shared", "data", "models", "evaluation"},
    "evaluation": {"shared", "data", "models"},
    "release": {"shared", "data", "models", "evaluation", "pipeline", "tracking"},
    "serving": {"shared", "data", "models", "release"},
    "stages": {"shared", "data", "models", "training", "tracking", "evaluation"},
    "commands": {"shared", "data", "models", "training", "tracking", "evaluation", "pipeline", "release", "serving"},
}
"""Which package may import which others. `shared` are the modules directly in src/retrain, `stages` the five scripts."""

HOMES = {
    "dvc": {"pipeline"},
    "mlflow": {"tracking"},
    "sqlalchemy": {"tracking"},
    "matplotlib": {"plot", "evaluation.plots"},
    "sklearn": {"data.inspection.oddities", "data.sources.scikit_learn"},
    "jinja2": {"evaluation.report"},
    "duckdb": {"data.reading.csv_files", "data.reading.database", "data.reading.parquet_files", "data.reading.table_files"},
    "safetensors": {"models.weights", "pipeline.comparison"},
    "PIL": {"pipeline.comparison"},
    "onnxruntime": {"models.onnx_export"},
    "uvicorn": {"serving.connections", "serving.server"},
    "requests": {"data.downloads", "tracking.store"},
    "torch": {
        "data.loader", "devices", "evaluation.metrics", "evaluation.reference", "models", "pipeline.causes", "pipeline.comparison", "training",
    },
}  # fmt: skip
"""The modules, or the packages, that may import a heavy library."""
HEAVY = {
    "torch",
    "mlflow",
    "pandas",
    "numpy",
    "matplotlib",
    "sklearn",
    "pyarrow",
    "duckdb",
    "jinja2",
    "requests",
    "sqlalchemy",
    "tqdm",
    "onnxruntime",
    "uvicorn",
}


def package_of(module: str) -> str:
    """The row of `MAY_IMPORT` that a module belongs to."""
    if module in STAGES:
        return "stages"
    first = module.split(".")[1]
    return first if (SRC / "retrain" / first).is_dir() else "shared"


def test_imports_go_down():
    wrong = []
    for module in set(modules()) - {"retrain"}:
        own_package = package_of(module)
        for other in own(modules()[module]) - {"retrain", module}:
            other_package = package_of(other)
            same = own_package == other_package != "stages"
            if not same and other_package not in MAY_IMPORT[own_package]:
                wrong.append(f"{module} may not import {other}")
    assert wrong == []


def test_no_import_cycle():
    graph = {module: own(path) - {"retrain", module} for module, path in modules().items() if module != "retrain"}
    graph["retrain.tracking.recording"] -= {
        "retrain.tracking.recorder"
    }  # imported late, if a stage is its own recorder
    TopologicalSorter(graph).prepare()


def test_package_imports_only_standard_library():
    assert own(SRC / "retrain" / "__init__.py") == {"retrain.environment"}
    names = {name.partition(".")[0] for name in imported(SRC / "retrain" / "environment.py")}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("library", HOMES)
def test_heavy_libraries_stay_home(library):
    homes = HOMES[library]
    importers = {
        module.removeprefix("retrain.")
        for module, path in modules().items()
        if any(name.partition(".")[0] == library for name in imported(path))
    }
    at_home = {home: {name for name in importers if name == home or name.startswith(f"{home}.")} for home in homes}
    assert importers == set().union(*at_home.values())
    assert all(at_home.values()), "a home without the library"


@pytest.mark.parametrize("stage", STAGES)
def test_help_loads_no_heavy_library(stage):
    program = f"import runpy, sys; sys.path.insert(0, {str(SRC)!r}); sys.argv = ['x', '--help']\n"
    program += f"try: runpy.run_path({str(SRC / f'{stage}.py')!r}, run_name='__main__')\n"
    program += "except SystemExit: pass\nprint(*{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "click" in loaded
    assert not loaded & HEAVY


def test_parameters_are_checked_without_pandas():
    sources = [name for name in modules() if name.startswith("retrain.data.sources.")]
    program = f"import sys; sys.path.insert(0, {str(SRC)!r}); import {', '.join(sources)}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert "retrain.data.sources.files" in loaded
    assert not loaded & HEAVY
