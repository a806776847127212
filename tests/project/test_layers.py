"""Imports go down, and each heavy library has one home."""

import subprocess
import sys

import pytest
from support.imports import SRC, imported, modules, own

ROWS = (
    ("stages", ("prepare", "split", "train", "evaluate", "plot")),
    ("commands", ("retrain.commands", "retrain.commands.*")),
    ("clones", ("retrain.pipeline.clean_clone",)),
    ("recording", ("retrain.tracking.recording",)),
    ("edges", ("retrain.pipeline.availability", "retrain.cli", "retrain.processes", "retrain.tracking")),
    (
        "of edges",
        ("retrain.pipeline.causes", "retrain.tracking.naming", "retrain.tracking.store", "retrain.tracking.result"),
    ),
    ("audit", ("retrain.pipeline.dependencies", "retrain.pipeline.staleness", "retrain.pipeline.sandbox")),
    ("pipeline", ("retrain.pipeline",)),
    ("evidence", ("retrain.pipeline.comparison", "retrain.pipeline.dvc_lock")),
    ("predictor", ("retrain.models.predictor",)),
    (
        "meaning",
        ("retrain.data.sources.*", "retrain.data.encoders.*", "retrain.data.tasks.*"),
    ),
    ("kinds", ("retrain.data.sources", "retrain.data.encoders", "retrain.data.tasks")),
    ("engine", ("retrain.training.loop",)),
    (
        "parts",
        (
            "retrain.models.weights",
            "retrain.data.loader",
            "retrain.training.checkpoint",
            "retrain.models.losses",
            "retrain.training.optimizers",
        ),
    ),
    ("device", ("retrain.devices",)),
    ("network", ("retrain.models.networks.*",)),
    ("networks", ("retrain.models.networks",)),
    ("readers", ("retrain.models.description",)),
    ("cleaning", ("retrain.data.cleaning",)),
    ("ground", ("retrain.params", "retrain.data.tables")),
    ("files", ("retrain.files",)),
    ("first", ("retrain.errors", "retrain.environment", "retrain.processes")),
)
"""From top to bottom. A module imports only from rows below its own; `retrain` itself imports `environment` alone."""

HOMES = {
    "dvc": {"retrain.pipeline"},
    "mlflow": {"retrain.tracking"},
    "sqlalchemy": {"retrain.tracking"},
    "matplotlib": {"plot"},
    "sklearn": {"retrain.data.sources.scikit_learn"},
    "safetensors": {"retrain.models.weights", "retrain.pipeline.comparison"},
    "PIL": {"retrain.pipeline.comparison"},
    "requests": {"retrain.data.sources.files", "retrain.tracking"},
    "torch": {
        "train", "evaluate", "retrain.models.predictor", "retrain.training.loop", "retrain.models.weights", "retrain.devices",
        "retrain.data.loader", "retrain.training.checkpoint", "retrain.models.losses", "retrain.training.optimizers",
        "retrain.models.networks", "retrain.models.networks.embedding_bag", "retrain.models.networks.mlp", "retrain.models.networks.ngram_bag",
        "retrain.pipeline.comparison", "retrain.pipeline.causes",
    },
}  # fmt: skip
ALLOWED_FOR_HELP = {"click", "pydantic", "pydantic_core", "ruamel"}


def row_of(module: str) -> int:
    for number, (_, patterns) in enumerate(ROWS):
        for pattern in patterns:
            if module == pattern or (pattern.endswith(".*") and module.rpartition(".")[0] == pattern[:-2]):
                return number
    raise AssertionError(f"{module} stands in no row: give it one in tests/test_layers.py")


@pytest.mark.parametrize("module", sorted(set(modules()) - {"retrain"}))
def test_a_module_imports_only_from_rows_below_its_own(module):
    for other in own(modules()[module]) - {"retrain", module}:
        assert row_of(other) > row_of(module), f"{module} imports {other}, which does not stand below it"


def test_the_package_itself_imports_only_the_standard_library():
    assert own(SRC / "retrain" / "__init__.py") == {"retrain.environment"}
    assert imported(SRC / "retrain" / "environment.py") <= {
        "hashlib", "importlib.metadata", "importlib.metadata.version", "os", "pathlib", "pathlib.Path", "platform", "resource", "sys",
    }  # fmt: skip


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_only_where_it_lives(library):
    importers = {
        module
        for module, path in modules().items()
        if any(name.partition(".")[0] == library for name in imported(path))
    }
    assert importers == HOMES[library]


@pytest.mark.parametrize(
    "command", ["src/train.py", "src/plot.py", "src/evaluate.py", "src/split.py", "src/prepare.py"]
)
def test_help_loads_no_heavy_library(command):
    program = f"import runpy, sys; sys.path.insert(0, {str(SRC)!r}); sys.argv = ['x', '--help']\n"
    program += f"try: runpy.run_path({str(SRC.parent / command)!r}, run_name='__main__')\n"
    program += "except SystemExit: pass\nprint(*{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "click" in loaded
    heavy = {"torch", "mlflow", "pandas", "numpy", "matplotlib", "sklearn", "pyarrow", "requests", "sqlalchemy", "tqdm"}
    assert not loaded & heavy
