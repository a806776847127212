"""How the parameters of AG News were chosen: variants of the committed ones, or of a recipe's, compared on validation alone.

`AG_NEWS_DIR=folder python benchmarks/choose.py` prints a table, of all variants or of those that are named. The test file only says
which texts leave train and validation; nothing is measured on it.
"""

import copy
import statistics
import sys
import time
from pathlib import Path

from retrain import cli, environment, params, schema, yaml_files
from retrain.errors import RetrainError

import ag_news
import click

ROOT = Path(__file__).resolve().parents[1]
SPLIT_SEEDS = (1, 2, 3, 4)
VALIDATION = 0.2
"""More than is committed, so that small differences can be told from chance."""
VARIANTS = {
    "as it is": {},
    "words and pairs alone": {"split.encoder.char_ngrams": 0},
    "runs of four characters": {"split.encoder.char_ngrams": 4},
    "runs of five characters": {"split.encoder.char_ngrams": 5},
    "runs of six characters": {"split.encoder.char_ngrams": 6},
    "texts left as they are": {"prepare.repairs": []},
    "only entities repaired": {"prepare.repairs": ["entities"]},
    "spaces made one as well": {"prepare.repairs": ["entities", "backslashes", "spaces"]},
    "features seen once kept": {"split.encoder.minimum_count": 1},
    "features seen twice left out": {"split.encoder.minimum_count": 3},
    "every ratio kept": {"split.encoder.min_log_ratio": 0.0},
    "ratios under 1.3 left out": {"split.encoder.min_log_ratio": 1.3},
    "a hash of 21 bits": {"split.encoder.hash_bits": 21},
    "a hash of 23 bits": {"split.encoder.hash_bits": 23},
    "a hash of 26 bits": {"split.encoder.hash_bits": 26},
    "width 4": {"train.network.embedding_dim": 4},
    "width 16": {"train.network.embedding_dim": 16},
    "width 32": {"train.network.embedding_dim": 32},
    "no label smoothing": {"train.loss.label_smoothing": 0.0},
    "label smoothing 0.2": {"train.loss.label_smoothing": 0.2},
    "learning rate 0.07": {"train.loop.learning_rate": 0.07},
    "learning rate 0.2": {"train.loop.learning_rate": 0.2},
    "learning rate 0.5": {"train.loop.learning_rate": 0.5},
    "one epoch": {"train.loop.epochs": 1},
    "three epochs": {"train.loop.epochs": 3},
    "batches of 256, learning rate 0.08": {"train.loop.batch_size": 256, "train.loop.learning_rate": 0.08},
    "batches of 512, learning rate 0.12": {"train.loop.batch_size": 512, "train.loop.learning_rate": 0.12},
    "batches of 2048, learning rate 0.3": {"train.loop.batch_size": 2048, "train.loop.learning_rate": 0.3},
    "learning rate constant": {"train.schedule.name": "constant"},
    "learning rate along a cosine": {"train.schedule.name": "cosine"},
    "vectors start within 0.001": {"train.network.embedding_init": 0.001},
    "vectors start within 0.1": {"train.network.embedding_init": 0.1},
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


def validated(block, read, seed):
    """The best validation accuracy of a training, and its seconds from rows in memory."""
    import prepare
    from retrain.data import encoders, splitting
    from retrain.training import loop, setup

    import ours

    cleaned, test = prepare.prepare(read, tuple(block["prepare"]["repairs"]), "prepare")
    *inputs, _ = cleaned.rows.columns
    section = {**block["split"], "seed": seed, "validation": VALIDATION}
    contents = encoders.load(section["encoder"]["name"], "split").Encoder.contents
    parameters = schema.check(section, splitting.Split, "split")
    parts = splitting.split(cleaned.rows, contents(cleaned.rows[inputs]), (test, contents(test[inputs])), parameters)
    begin = time.perf_counter()
    data = ours.encoded(section, {name: parts[name] for name in ("train", "validation")})
    train = {**block["train"], "loop": {**block["train"]["loop"], "seed": seed}}
    training = setup.build(schema.check(train, setup.Train, "train"), data, "train")
    epochs = filter(None, loop.train_epochs(training.state, data.train, data.validation, training.config))
    accuracies = [
        data.task.metrics_of(epoch.validation.totals, epoch.validation.examples)["accuracy"] for epoch in epochs
    ]
    return max(accuracies), time.perf_counter() - begin


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(VARIANTS)))
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="Vary this recipe's parameters, not the committed ones."
)
@cli.one_line_errors
def main(names, recipe):
    """Compare variants of the committed parameters of AG News on validation, a line of Markdown each: NAMES, or all."""
    given = ag_news.given()
    if given is None:
        raise RetrainError(ag_news.VARIABLE, "is not set", "set it to the folder that has AG News")
    block = varied(params.dataset_block(ROOT, "ag_news"), of_recipe(recipe) if recipe else {})
    environment.pin_cpu(block["train"]["threads"])
    sys.path.insert(0, str(ROOT / "src"))
    from retrain.data import sources
    from retrain.data.sources import SourceContext

    block = varied(block, {f"prepare.{name}": file for name, file in given.items()})
    source = sources.load(block["prepare"], "ag_news")
    read = source.read(
        schema.check(block["prepare"], source.parameters, "prepare"), SourceContext("ag_news", ROOT, ROOT)
    )
    click.echo(f"| variant | validation accuracy, mean of {len(SPLIT_SEEDS)} splits | least, largest | seconds |")
    click.echo("|---|---|---|---|")
    for name in names or VARIANTS:
        found = [validated(varied(block, VARIANTS[name]), read, seed) for seed in SPLIT_SEEDS]
        accuracies = [100 * accuracy for accuracy, _ in found]
        seconds = statistics.median(taken for _, taken in found)
        mean = f"{statistics.mean(accuracies):.2f}"
        click.echo(f"| {name} | {mean} | {min(accuracies):.2f}, {max(accuracies):.2f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
