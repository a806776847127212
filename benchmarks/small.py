"""The two small datasets, compared with scikit-learn on the same splits."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from retrain import environment, params, schema

from ours import training_data

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ROOT / "benchmarks" / ".venv" / "bin" / "python"
SPLIT_SEEDS = range(1, 21)


def other(method, content):
    """What others.py says of some content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.json")
        path.write_text(json.dumps(content), encoding="utf-8")
        command = [OTHERS, ROOT / "benchmarks" / "others.py", method, path]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def docstrings():
    """Test accuracy of the committed model, and of LinearSVC on the same splits."""
    from retrain.data import tables

    rows = {}
    for name in ("train", "test"):
        path = ROOT / "data" / "docstrings" / "splits" / f"{name}.parquet"
        table = tables.read_parquet(path, "run: make repro")
        *inputs, target = table.columns
        rows[name] = {
            "texts": [" ".join(row) for row in table[inputs].itertuples(index=False)],
            "labels": table[target].cat.codes.tolist(),
        }
    metrics = json.loads((ROOT / "reports" / "docstrings" / "metrics.json").read_text(encoding="utf-8"))
    return {"ours": metrics["test"]["accuracy"], "linear_svc": other("linear_svc", rows)["accuracy"]}


def diabetes():
    """Test r2 over many splits: the committed parameters, the best epoch on validation, compared with Ridge with a chosen penalty."""
    environment.pin_cpu(1)
    from retrain.data import loader, splitting, tables
    from retrain.data.encoders import numbers
    from retrain.data.tasks import regression
    from retrain.training import history, loop, setup

    from sklearn.metrics import r2_score

    block = params.dataset_block(ROOT, "diabetes")
    parameters = schema.check(block["train"], setup.Train, "train")
    rows = tables.read_parquet(ROOT / "data" / "diabetes" / "prepared" / "rows.parquet", "run: make repro")
    *inputs, target = rows.columns
    contents = numbers.Encoder.contents(rows[inputs])
    ours, given = [], []
    for seed in SPLIT_SEEDS:
        section = schema.check({**block["split"], "seed": seed}, splitting.Split, "split")
        parts = splitting.split(rows, contents, None, section)
        task = regression.Task.fit(parts["train"][target], "split")
        encoder, _ = numbers.Encoder.fit_encode(
            parts["train"][inputs], task.encode(parts["train"][target]), numbers.Parameters(name="numbers")
        )
        arrays = {
            name: {**encoder.encode(part[inputs]), "targets": task.encode(part[target])} for name, part in parts.items()
        }
        data = training_data(section, encoder, task, arrays)
        training = setup.build(parameters, data, "train")
        best, stalled, weights = float("inf"), 0, None
        for epoch in filter(None, loop.train_epochs(training.state, data.train, data.validation, training.config)):
            stalled += 1
            if epoch.validation.loss < best:
                best, stalled, weights = epoch.validation.loss, 0, history.copied_weights(training.state.network)
            if stalled >= parameters.loop.patience:
                break
        training.state.network.load_state_dict(weights)
        test = loader.Examples(arrays["test"], encoder.gather)
        (batch,) = loader.ordered_batches(test, len(test))
        predicted = task.predictions(training.state.network.eval()(*batch[0]).detach())["predicted"]
        ours.append(float(r2_score(parts["test"][target], predicted)))
        given.append([
            {"inputs": parts[name][inputs].to_numpy().tolist(), "targets": parts[name][target].tolist()}
            for name in ("train", "test")
        ])  # fmt: skip
    ridge = other("ridge", given)["r2"]
    return {
        "ours": {"mean": statistics.mean(ours), "deviation": statistics.stdev(ours)},
        "ridge": {"mean": statistics.mean(ridge), "deviation": statistics.stdev(ridge)},
        "split_seeds": len(ours),
    }


def measure():
    """Both."""
    sys.path.insert(0, str(ROOT / "src"))
    return {"docstrings": docstrings(), "diabetes": diabetes()}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
