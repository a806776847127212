"""How the parameters of AG News were chosen: variants of the committed ones, or of a recipe's, compared on validation alone.

`AG_NEWS_DIR=folder python benchmarks/choose.py` prints a table, of all variants or of those that are named. The test file only says
which texts leave train and validation; nothing is measured on it.
"""

import copy
import math
import statistics
import sys
import time
from pathlib import Path

from retrain import cli, environment, params, schema, yaml_files

import ag_news
import click

ROOT = Path(__file__).resolve().parents[1]
SPLIT_SEEDS = (1, 2, 3, 4)
VALIDATION = 0.2
"""More than is committed, so that small differences can be told from chance."""
VARIANTS = {
    "as it is": {},
    "words and pairs alone": {"split.encoder.char_ngrams": 0},
    "character 3-grams": {"split.encoder.char_ngrams": 3},
    "character 5-grams": {"split.encoder.char_ngrams": 5},
    "character 6-grams": {"split.encoder.char_ngrams": 6},
    "texts left as they are": {"prepare.repairs": []},
    "only entities repaired": {"prepare.repairs": ["entities"]},
    "spaces made one as well": {"prepare.repairs": ["entities", "backslashes", "spaces"]},
    "features seen once kept": {"split.encoder.minimum_count": 1},
    "features seen twice left out": {"split.encoder.minimum_count": 3},
    "every ratio kept": {"split.encoder.min_log_ratio": 0.0},
    "ratios under 1.3 left out": {"split.encoder.min_log_ratio": 1.3},
    "a hash of 21 bits": {"split.encoder.hash_bits": 21},
    "a hash of 22 bits": {"split.encoder.hash_bits": 22},
    "a hash of 23 bits": {"split.encoder.hash_bits": 23},
    "a hash of 26 bits": {"split.encoder.hash_bits": 26},
    "scale 8": {"train.network.scale": 8.0},
    "scale 32": {"train.network.scale": 32.0},
    "no label smoothing": {"train.loss.label_smoothing": 0.0},
    "label smoothing 0.05": {"train.loss.label_smoothing": 0.05},
    "label smoothing 0.2": {"train.loss.label_smoothing": 0.2},
    "a start at zero": {"train.network.naive_bayes": 0.0},
    "half of the start": {"train.network.naive_bayes": 0.04},
    "twice the start": {"train.network.naive_bayes": 0.16},
    "a start at zero, three epochs, batches of 1536, learning rate 6.75": {
        "train.network.naive_bayes": 0.0,
        "train.loop.epochs": 3,
        "train.loop.batch_size": 1536,
        "train.loop.learning_rate": 6.75,
    },
    "learning rate 3.5": {"train.loop.learning_rate": 3.5},
    "learning rate 6": {"train.loop.learning_rate": 6.0},
    "one epoch": {"train.loop.epochs": 1},
    "three epochs": {"train.loop.epochs": 3},
    "batches of 512, learning rate 2.25": {"train.loop.batch_size": 512, "train.loop.learning_rate": 2.25},
    "batches of 1536, learning rate 6.75": {"train.loop.batch_size": 1536, "train.loop.learning_rate": 6.75},
    "batches of 3072, learning rate 13.5": {"train.loop.batch_size": 3072, "train.loop.learning_rate": 13.5},
    "learning rate constant": {"train.schedule.name": "constant"},
    "learning rate along a cosine": {"train.schedule.name": "cosine"},
}


def of_recipe(file):
    """The parameters of a recipe, by their paths."""
    content = yaml_files.load_yaml(file, str(file), "correct the path")
    return {
        f"{stage}.{parameter}": value
        for stage, parameters in content.items()
        for parameter, value in parameters.items()
    }


def varied(block, changes):
    """A dataset's block with some parameters changed, given by their paths."""
    block = copy.deepcopy(block)
    for path, value in changes.items():
        *sections, parameter = path.split(".")
        where = block
        for section in sections:
            where = where[section]
        where[parameter] = value
    return block


def validated(block, read, seed, trainings):
    """The best validation accuracy of each training on one split, and its seconds from rows in memory."""
    from retrain.training import loop, setup

    import ours

    section = {**block["split"], "seed": seed, "validation": VALIDATION}
    splits = ag_news.splits({**block, "split": section}, read)
    begin = time.perf_counter()
    data = ours.encoded(section, splits)
    features = time.perf_counter() - begin
    for training_seed in range(seed, seed + trainings * len(SPLIT_SEEDS), len(SPLIT_SEEDS)):
        begin = time.perf_counter()
        train = {**block["train"], "loop": {**block["train"]["loop"], "seed": training_seed}}
        training = setup.build(schema.check(train, setup.Train, "train"), data, "train")
        epochs = filter(None, loop.train_epochs(training.state, data.train, data.validation, training.config))
        accuracies = [
            data.task.metrics_of(epoch.validation.totals, epoch.validation.examples)["accuracy"] for epoch in epochs
        ]
        yield max(accuracies), features + time.perf_counter() - begin


def with_error(of_splits, form):
    """The mean of the splits' means, and its standard error: trainings on one split share its rows, so they count as one."""
    return f"{form.format(statistics.mean(of_splits))} ± {statistics.stdev(of_splits) / math.sqrt(len(of_splits)):.3f}"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(VARIANTS)))
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="Vary this recipe's parameters, not the committed ones."
)
@click.option("--seeds", type=click.IntRange(min=1), default=1, help="Trainings per split, each with its own seed.")
@cli.one_line_errors
def main(names, recipe, seeds):
    """Compare variants of the committed parameters of AG News on validation, a line of Markdown each: NAMES, or all.

    Differences are those from the first of them, on the same splits and with the same seeds.
    """
    block = varied(params.dataset_block(ROOT, "ag_news"), of_recipe(recipe) if recipe else {})
    environment.pin_cpu(block["train"]["threads"])
    sys.path.insert(0, str(ROOT / "src"))
    read = ag_news.read(block)
    splits = len(SPLIT_SEEDS)
    click.echo(f"{splits * seeds} trainings of each, on {splits} splits; ± standard error of the mean over splits\n")
    click.echo("| variant | validation accuracy (%) | difference from the first | seconds |")
    click.echo("|---|---|---|---|")
    first = None
    for name in names or VARIANTS:
        changed = varied(block, VARIANTS[name])
        found = [list(validated(changed, read, seed, seeds)) for seed in SPLIT_SEEDS]
        means = [100 * statistics.mean(accuracy for accuracy, _ in runs) for runs in found]
        first = first or means
        apart = [mean - other for mean, other in zip(means, first, strict=True)]
        shown = with_error(apart, "{:+.3f}") if means is not first else ""
        seconds = statistics.median(taken for runs in found for _, taken in runs)
        click.echo(f"| {name} | {with_error(means, '{:.3f}')} | {shown} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
