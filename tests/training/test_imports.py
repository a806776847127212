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
for stage in sys.argv[1:]:
    importlib.import_module(stage).main(["--dataset", "tiny_numbers"], standalone_mode=False)
    print("loaded", stage, *sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("stages", [("train", "evaluate"), ("plot",)], ids=" ".join)
def test_stage_imports(pair, stages):
    """What train may import, evaluate may import too, so that one process runs both and imports torch once."""
    assert FORBIDDEN["evaluate"] <= FORBIDDEN["train"]
    ended = pair.run("python3", "-c", PROGRAM, *stages)
    assert ended.returncode == 0, ended.said
    lines = [line.split()[1:] for line in ended.stdout.splitlines() if line.startswith("loaded ")]
    assert tuple(stage for stage, *_ in lines) == stages
    for stage, *loaded in lines:
        assert {"numpy", "pydantic"} <= set(loaded)
        assert not FORBIDDEN[stage].intersection(loaded), stage
