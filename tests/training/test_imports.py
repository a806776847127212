"""A stage imports only the libraries that it needs: others would take longer than its work."""

import pytest

FORBIDDEN = {
    "train": {"torch._dynamo", "mlflow", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib"},
    "evaluate": {"torch._dynamo", "mlflow", "pandas", "scipy", "sklearn", "matplotlib"},
    "plot": {"torch", "mlflow", "pandas", "pyarrow", "scipy", "sklearn"},
}
"""Modules that a stage must not import. The recorder imports MLflow in a process of its own."""

PROGRAM = """
import importlib, sys
sys.path.insert(0, "src")
importlib.import_module(sys.argv[1]).main(["--dataset", "tiny_numbers"], standalone_mode=False)
print(*sorted(sys.modules))
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", FORBIDDEN)
def test_stage_imports(finished, stage):
    ended = finished.run("python3", "-c", PROGRAM, stage)
    assert ended.returncode == 0, ended.said
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert {"numpy", "pydantic"} <= loaded
    assert not loaded & FORBIDDEN[stage]
