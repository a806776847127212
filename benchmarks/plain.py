"""The strict plain script that `dvc repro` is compared with: one process that does the same work for `diabetes`.

`python benchmarks/plain.py PROJECT OUTPUT LEARNING_RATE` reads the arrays that the split stage of PROJECT wrote, trains
the same network, evaluates it, draws the same three plots and logs all of it to MLflow on SQLite in OUTPUT. It imports
nothing that it does not need: SGD is written out, because `torch.optim` would import `torch._dynamo`.
"""

import csv
import gc
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from pyarrow import parquet
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

HIDDEN, EPOCHS, BATCH_SIZE, WEIGHT_DECAY, CLIP_NORM, PATIENCE, SEED = 50, 40, 16, 0.06, 0.5, 20, 1


def arrays(folder):
    """Inputs and targets of a split."""
    return tuple(
        torch.from_numpy(np.load(folder / f"{name}.npy", allow_pickle=False)) for name in ("values", "targets")
    )


def train(network, train_split, validation_split, learning_rate, deviation):
    """Train; return the history and the best epoch with its weights."""
    inputs, targets = train_split
    history, best = [], (math.inf, 0, {})
    parameters = list(network.parameters())
    batches = math.ceil(len(inputs) / BATCH_SIZE)
    step = 0
    for epoch in range(1, EPOCHS + 1):
        total, first = 0.0, learning_rate * (1 - step / (EPOCHS * batches))
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(SEED + epoch))
        for rows in order.split(BATCH_SIZE):
            loss = functional.mse_loss(network(inputs[rows]), targets[rows])
            gradients = torch.autograd.grad(loss, parameters)
            norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
            scale = min(1.0, CLIP_NORM / (norm.item() + 1e-6))
            rate = learning_rate * (1 - step / (EPOCHS * batches))
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(rate * (gradient * scale + WEIGHT_DECAY * parameter))
            total += loss.item() * len(rows)
            step += 1
        with torch.no_grad():
            validation = functional.mse_loss(network(validation_split[0]), validation_split[1]).item()
        losses = {"train_loss": total / len(inputs), "validation_loss": validation}
        rmse = {name.replace("loss", "rmse"): deviation * math.sqrt(loss) for name, loss in losses.items()}
        history.append({"epoch": epoch, "learning_rate": first, **losses, **rmse})
        if validation < best[0]:
            best = validation, epoch, {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if epoch - best[1] >= PATIENCE:
            break
    return history, best[1], best[2]


def evaluate(network, encoding, table):
    """The metrics of the test split and of the mean, and the predictions."""
    learned, task = encoding["encoder"]["learned"], encoding["task"]["learned"]
    raw = np.column_stack([table[name].to_numpy() for name in learned["columns"]])
    values = ((raw - learned["means"]) / learned["deviations"]).astype(np.float32)
    with torch.no_grad():
        predicted = network(torch.from_numpy(values)).double().numpy()[:, 0] * task["deviation"] + task["mean"]
    target = table[encoding["task"]["column"]].to_numpy()
    return {"test": metrics(target, predicted), "baseline": metrics(target, task["mean"])}, target, predicted


def metrics(target, predicted):
    """Root mean squared error, mean absolute error and r2."""
    errors = predicted - target
    return {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
        "r2": float(1 - (errors**2).mean() / target.var()),
    }


def plot(folder, history, best, target, predicted):
    """The three plots."""
    folder.mkdir(exist_ok=True)
    epochs = [row["epoch"] for row in history]
    for name in ("loss", "rmse"):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        axes = figure.subplots()
        for split in ("train", "validation"):
            axes.plot(epochs, [row[f"{split}_{name}"] for row in history], label=split)
        axes.axvline(best, linestyle=":", label=f"chosen: epoch {best}")
        axes.set(title=f"diabetes: {name} over epochs", xlabel="Epoch", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=150)
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.scatter(target, predicted, s=12)
    axes.axline((target.mean(), target.mean()), slope=1)
    axes.set(title="diabetes: predicted against target", xlabel="target", ylabel="predicted")
    figure.savefig(folder / "predicted.png", dpi=150)


def write_rows(path, rows):
    """Write a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def log(output, learning_rate, history, measured):
    """Record the run: parameters, the metrics of each epoch, the final ones, and all files."""
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    found = client.get_experiment_by_name("plain")
    experiment = found.experiment_id if found else client.create_experiment("plain", (output / "mlruns").as_uri())
    run = client.create_run(experiment).info.run_id
    names = ("HIDDEN", "EPOCHS", "BATCH_SIZE", "WEIGHT_DECAY", "CLIP_NORM", "PATIENCE", "SEED")
    params = [Param(name.lower(), str(globals()[name])) for name in names]
    epochs = [Metric(name, row[name], 0, row["epoch"]) for row in history for name in row if name != "epoch"]
    final = [
        Metric(f"{part}/{name}", value, 0, 0) for part, values in measured.items() for name, value in values.items()
    ]
    client.log_batch(run, metrics=epochs + final, params=[*params, Param("learning_rate", str(learning_rate))])
    client.log_artifacts(run, str(output / "result"))
    client.set_terminated(run)


def main():
    """Do all of it."""
    project, output, learning_rate = Path(sys.argv[1]), Path(sys.argv[2]).resolve(), float(sys.argv[3])
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    data = project / "data" / "diabetes"
    encoding = json.loads((data / "examples" / "encoding.json").read_text(encoding="utf-8"))
    splits = [arrays(data / "examples" / name) for name in ("train", "validation")]
    network = nn.Sequential(nn.Linear(splits[0][0].shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
    history, best, weights = train(network, *splits, learning_rate, encoding["task"]["learned"]["deviation"])
    network.load_state_dict(weights)
    measured, target, predicted = evaluate(network, encoding, parquet.read_table(data / "splits" / "test.parquet"))
    result = output / "result"
    result.mkdir(parents=True, exist_ok=True)
    save_file(weights, result / "model.safetensors")
    (result / "model.json").write_text(json.dumps({**encoding, "best_epoch": best}, indent=2), encoding="utf-8")
    (result / "metrics.json").write_text(json.dumps(measured, indent=2), encoding="utf-8")
    write_rows(result / "history.csv", history)
    rows = zip(target.tolist(), predicted.tolist(), strict=True)
    write_rows(result / "predictions.csv", [{"target": one, "predicted": other} for one, other in rows])
    plot(result / "plots", history, best, target, predicted)
    log(output, learning_rate, history, measured)
    print(f"test rmse {measured['test']['rmse']:.4f}, best epoch {best} of {len(history)}")
    gc.freeze()  # or the interpreter would look for cycles among all objects before it ends


if __name__ == "__main__":
    main()
