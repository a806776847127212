"""The two small datasets beside what scikit-learn makes of the same splits."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from retrain import environment, params

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
    from retrain import tables

    rows = {}
    for name in ("train", "test"):
        path = ROOT / "data" / "docstrings" / "splits" / f"{name}.parquet"
        table = tables.read_parquet(path, "run make repro first")
        *inputs, target = table.columns
        rows[name] = {
            "texts": [" ".join(row) for row in table[inputs].itertuples(index=False)],
            "labels": table[target].cat.codes.tolist(),
        }
    metrics = json.loads((ROOT / "reports" / "docstrings" / "metrics.json").read_text(encoding="utf-8"))
    return {"ours": metrics["test"]["accuracy"], "linear_svc": other("linear_svc", rows)["accuracy"]}


def diabetes():
    """Test r2 over many splits: the committed knobs, the best epoch on validation, beside Ridge with a chosen penalty."""
    environment.pin_cpu(1)
    import split
    import train
    from retrain import examples, loop, tables
    from retrain.encoders import numbers
    from retrain.objectives import number

    from sklearn.metrics import r2_score

    block = params.dataset_block(ROOT, "diabetes")
    knobs = params.check(block["train"], train.Train, "train")
    rows = tables.read_parquet(ROOT / "data" / "diabetes" / "prepared" / "rows.parquet", "run make repro first")
    *inputs, target = rows.columns
    contents = numbers.Encoder.contents(rows[inputs])
    ours, given = [], []
    for seed in SPLIT_SEEDS:
        section = params.check({**block["split"], "seed": seed}, split.Split, "split")
        parts = split.split(rows, contents, None, section)
        encoder = numbers.Encoder.fit(parts["train"][inputs], parts["train"][target].to_numpy(), numbers.Knobs())
        objective = number.Objective.fit(parts["train"][target], "split")
        ready = {
            name: examples.Examples(
                {**encoder.encode(part[inputs]), "targets": objective.encode(part[target])}, encoder.gather
            )
            for name, part in parts.items()
        }
        training = train.ready(
            knobs, train.Task("numbers", encoder, objective, ready["train"], ready["validation"]), "train"
        )
        best, stalled, weights = float("inf"), 0, None
        for report in loop.train_epochs(training.state, training.train, training.validation, training.rules):
            if report.validation is None:
                continue
            stalled += 1
            if report.validation.loss < best:
                best, stalled, weights = report.validation.loss, 0, train.copied_weights(training.state.network)
            if stalled >= knobs.loop.patience:
                break
        training.state.network.load_state_dict(weights)
        (batch,) = examples.ordered_batches(ready["test"], len(ready["test"]))
        predicted = objective.predictions(training.state.network.eval()(*batch[0]).detach())["predicted"]
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
