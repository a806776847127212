"""Imports go down, and each heavy library has one home."""

import subprocess
import sys

import pytest
from imports import SRC, imported, modules, own

ROWS = (
    ("stages", ("prepare", "split", "train", "evaluate", "plot")),
    ("commands", ("retrain.commands", "retrain.commands.*")),
    ("clones", ("retrain.clones",)),
    ("recording", ("retrain.recording",)),
    ("edges", ("retrain.available", "retrain.cli", "retrain.running", "retrain.tracking")),
    ("of edges", ("retrain.explanation", "retrain.provenance", "retrain.store", "retrain.results")),
    ("audit", ("retrain.inputs", "retrain.staleness", "retrain.trial")),
    ("pipeline", ("retrain.pipeline",)),
    ("evidence", ("retrain.comparison", "retrain.promises")),
    ("predictor", ("retrain.predictor",)),
    (
        "meaning",
        ("retrain.sources.*", "retrain.encoders.*", "retrain.objectives.*"),
    ),
    ("kinds", ("retrain.sources", "retrain.encoders", "retrain.objectives")),
    ("engine", ("retrain.loop",)),
    ("parts", ("retrain.checkpoint", "retrain.examples", "retrain.journal", "retrain.losses", "retrain.optimizers")),
    ("device", ("retrain.devices",)),
    ("network", ("retrain.networks.*",)),
    ("networks", ("retrain.networks",)),
    ("readers", ("retrain.description",)),
    ("cleaning", ("retrain.cleaning",)),
    ("ground", ("retrain.params", "retrain.tables")),
    ("files", ("retrain.files",)),
    ("first", ("retrain.errors", "retrain.environment", "retrain.processes")),
)
"""From top to bottom. A module imports only from rows below its own; `retrain` itself imports `environment` alone."""

HOMES = {
    "dvc": {"retrain.pipeline"},
    "mlflow": {"retrain.tracking"},
    "sqlalchemy": {"retrain.tracking"},
    "matplotlib": {"plot"},
    "sklearn": {"retrain.sources.scikit_learn"},
    "safetensors": {"retrain.checkpoint", "retrain.comparison"},
    "PIL": {"retrain.comparison"},
    "requests": {"retrain.sources.files", "retrain.tracking"},
    "torch": {
        "train", "evaluate", "retrain.predictor", "retrain.loop", "retrain.checkpoint", "retrain.devices",
        "retrain.examples", "retrain.journal", "retrain.losses", "retrain.optimizers",
        "retrain.networks", "retrain.networks.embedding_bag", "retrain.networks.mlp", "retrain.networks.ngram_bag",
        "retrain.comparison", "retrain.explanation",
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
