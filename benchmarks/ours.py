"""Ours, in a fresh process: `ours.py train FOLDER DATASET SEED GOAL` or `ours.py predict MODEL ROWS`.

FOLDER is a workspace in which prepare and split have run. Prints a line of JSON.
"""

import json
import math
import statistics
import sys
import time
from pathlib import Path

from retrain import environment

SOURCES = Path(__file__).resolve().parents[1] / "src"
WARMING = 4096
"""Rows that are read first: importing libraries is in no figure, nor is it in fastText's."""
PASSES = 3
"""So often all test rows are predicted; as often as others.py has it."""


def train_parameters(folder, dataset, seed):
    """The train section of a workspace's params.yaml, with another seed."""
    from retrain import params, schema
    from retrain.training import setup

    section = params.dataset_block(folder, dataset)["train"]
    changed = {**section, "loop": {**section["loop"], "seed": seed}}
    return schema.check(changed, setup.Train, params.section_path(dataset, "train"))


def encoded(section, splits):
    """Everything between rows in memory and examples, by a split section: vocabulary, features, arrays."""
    import split
    from retrain import schema
    from retrain.data import encoders, splitting, tasks

    parameters = schema.check(section, splitting.Split, "split")
    file = encoders.load(parameters.encoder.get("name"), "split.encoder.name")
    task = tasks.load(parameters.task, "split.task").fit(splits["train"].iloc[:, -1], "split")
    encoder_parameters = schema.check(parameters.encoder, file.Parameters, "split.encoder")
    encoder, arrays = split.encode(splits, file.Encoder, task, encoder_parameters)
    return training_data(parameters, encoder, task, arrays)


def training_data(parameters, encoder, task, arrays):
    """What `setup.build` takes, made of arrays in memory: nothing is read from files, so there are no digests."""
    from retrain.data import encoding_file, loader
    from retrain.training import setup

    encoding = encoding_file.Encoding.model_construct(
        encoder=encoding_file.LearnedEncoder(name=parameters.encoder["name"], learned={}),
        task=encoding_file.LearnedTask(name=parameters.task, column="", learned={}),
        split=parameters.model_dump(mode="json", exclude_none=True),
    )
    train, validation = (loader.Examples(arrays[name], encoder.gather) for name in ("train", "validation"))
    return setup.TrainingData(encoding, "", encoder, task, train, validation)


def returned(steps):
    """What a generator returns at its end."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def train_once(folder, dataset, seed, goal):
    """Train from rows in memory; then measure on the test split, at the end and, if there is a `goal`, during the training.

    `feature_seconds` is all up to the first batch: vocabulary, features, arrays, and the network with its initial weights.
    `clock` has the seconds of the loop after each step: a batch or an epoch. With a goal, its seconds mean nothing, because a
    thread gathers batches while accuracy on the test split is measured; then `curve` has the step and the accuracy of each
    measurement, and `steps_to_goal` the first step that reached the goal. The same seed without a goal takes the same steps.
    """
    parameters = train_parameters(folder, dataset, seed)
    environment.pin_cpu(parameters.threads)
    environment.keep_memory()
    from retrain import params
    from retrain.data import loader, tables
    from retrain.training import history, loop, setup

    paths = {name: folder / "data" / dataset / "splits" / f"{name}.parquet" for name in ("train", "validation", "test")}
    rows = {name: tables.read_parquet(path, "run: dvc repro split") for name, path in paths.items()}
    section = params.dataset_block(folder, dataset)["split"]
    some = {name: rows[name].head(WARMING) for name in ("train", "validation")}
    setup.build(parameters, encoded(section, some), "train")  # loads what is only loaded when it is needed
    begin = time.perf_counter()
    data = encoded(section, {name: rows[name] for name in ("train", "validation")})
    training = setup.build(parameters, data, "train")
    features = time.perf_counter() - begin
    *inputs, target = rows["test"].columns
    test = loader.Examples(
        {**data.encoder.encode(rows["test"][inputs]), "targets": data.task.encode(rows["test"][target])},
        type(data.encoder).gather,
    )

    def metric_of(sums):
        return next(iter(data.task.metrics_of(sums.totals, sums.examples).values()))

    def measured():
        mode = training.state.network.training
        sums = returned(loop.evaluate(training.state.network, loader.ordered_batches(test, 4096), training.config))
        training.state.network.train(mode)
        return metric_of(sums)

    best_score, best, best_weights, reached, clock, curve = (-math.inf, -math.inf), 0.0, None, None, [], []
    begin = time.perf_counter()
    for epoch in loop.train_epochs(training.state, data.train, data.validation, training.config):
        clock.append(time.perf_counter() - begin)
        if epoch:
            score = training.score(history.history_row(epoch, data.task))
            if score > best_score:
                best_score, best = score, metric_of(epoch.validation)
                best_weights = history.copied_weights(training.state.evaluated)
        if goal and (epoch or (training.state.network.training and training.state.batch % 4 == 0)):
            now = measured()
            curve.append([len(clock), now])
            reached = len(clock) if reached is None and now >= goal else reached
    clock.append(time.perf_counter() - begin)
    halved = {name: tensor.half().float() for name, tensor in best_weights.items()}
    training.state.network.load_state_dict(halved)
    in_half = measured()
    training.state.network.load_state_dict(best_weights)
    return {
        "feature_seconds": features,
        "loop_seconds": clock[-1],
        "clock": clock,
        "validation": best,
        "test": measured(),
        "test_float16": in_half,
        "steps_to_goal": reached,
        "curve": curve,
        "train_rows": len(rows["train"]),
    }


def predict(folder, rows):
    """How fast a saved model is loaded, answers a single row, and labels many, on one thread."""
    environment.pin_cpu(1)
    from retrain.data import cleaning, tables
    from retrain.models import predictor

    import torch

    torch.set_num_threads(1)
    begin = time.perf_counter()
    model = predictor.load(folder)
    loaded = time.perf_counter() - begin
    table = tables.read_parquet(rows, "run: dvc repro split")[list(model.encoder.columns)]
    texts = {name: table[name].tolist() for name in table.columns}
    repairs = model.description.prepare.repairs

    def answers(some):
        tidy = {name: cleaning.tidy_texts(column, repairs) for name, column in some.items()}
        return model.task.answers(model.outputs(tidy, 1024))

    def part(begin, end):
        return {name: column[begin:end] for name, column in texts.items()}

    answers(part(0, 100))
    taken = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        answers(texts)
        taken.append(time.perf_counter() - begin)
    singles = [part(number, number + 1) for number in range(200)]
    begin = time.perf_counter()
    for single in singles:
        answers(single)
    return {
        "load_seconds": loaded,
        "rows_per_second": len(table) / statistics.median(taken),
        "single_row_seconds": (time.perf_counter() - begin) / len(singles),
        "model_bytes": sum(path.stat().st_size for path in folder.iterdir()),
    }


def main():
    """Run what the command line names."""
    sys.path.insert(0, str(SOURCES))
    environment.keep_memory()
    if sys.argv[1] == "train":
        folder, dataset, seed, goal = sys.argv[2:]
        print(json.dumps(train_once(Path(folder), dataset, int(seed), float(goal))))
    else:
        print(json.dumps(predict(Path(sys.argv[2]), Path(sys.argv[3]))))


if __name__ == "__main__":
    main()
