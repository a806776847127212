"""How often 95 % intervals contain the true value of a metric, and conformal intervals a new target.

`python benchmarks/coverage.py` draws test splits of known worlds, and prints a table of Markdown for each question. No data is needed.
"""

import itertools
import math
import statistics

from retrain.evaluation.intervals import Judged, effective_rows, interval, resamples, wilson
from retrain.evaluation.metrics import calibration_error
from retrain.models.calibration import conformal

import click
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

ROUNDS = 1000
MANY = 1_000_000
"""Rows from which the true value of a metric comes."""
RESAMPLES = 400


GROUP = 10
"""Rows of a group, in worlds with groups."""


def classes(generator, rows, accuracy, count):
    """Calibrated predictions: labels are drawn from the probabilities. One class is rarer than the others."""
    return drawn(generator, generator.beta(12 * accuracy, 12 * (1 - accuracy), rows), count)


def classes_in_groups(generator, rows):
    """The same, where all rows of a group are about as hard."""
    of_group = generator.beta(3.6, 0.4, math.ceil(rows / GROUP))
    groups = np.arange(rows) // GROUP
    return drawn(generator, of_group[groups], 4).in_groups(groups)


def drawn(generator, sure, count):
    """Predictions with the probability `sure` for one class, and labels by the probabilities."""
    rows, share = len(sure), np.linspace(1, 3, count)
    main = generator.choice(count, rows, p=share / share.sum())
    rest = np.full((rows, count), 1.0) * ((1 - sure) / (count - 1))[:, None]
    rest[np.arange(rows), main] = sure
    targets = (rest.cumsum(axis=1) < generator.random(rows)[:, None]).sum(axis=1).clip(max=count - 1)
    return Judged(targets, rest.argmax(axis=1), rest)


def numbers(generator, rows, heavy):
    """Numbers with errors of a normal distribution, or of a t distribution with three degrees of freedom."""
    signal = generator.normal(size=rows)
    noise = generator.standard_t(3, rows) if heavy else generator.normal(size=rows)
    return Judged(signal + 0.7 * noise, signal)


def numbers_in_groups(generator, rows):
    """Numbers, half of whose squared error is that of the group."""
    groups = np.arange(rows) // GROUP
    signal, own = generator.normal(size=(2, rows))
    shared = generator.normal(size=groups[-1] + 1)[groups]
    return Judged(signal + 0.5 * (own + shared), signal).in_groups(groups)


WORLDS = {
    "4 classes, accuracy 0.90": lambda generator, rows: classes(generator, rows, 0.90, 4),
    "4 classes, accuracy 0.98": lambda generator, rows: classes(generator, rows, 0.98, 4),
    "numbers, normal errors": lambda generator, rows: numbers(generator, rows, heavy=False),
    "numbers, heavy tails": lambda generator, rows: numbers(generator, rows, heavy=True),
    "4 classes, groups of 10 rows": classes_in_groups,
    "numbers, groups of 10 rows": numbers_in_groups,
}


def plain(samples, _rows):
    """Percentiles as they are."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return {"low": low, "high": high}


def covered(world, rows, generator):
    """The share of rounds in which each kind of interval has the true value, by metric."""
    truth = WORLDS[world](generator, MANY).values()
    hits = {}
    for round_number in range(ROUNDS):
        judged = WORLDS[world](generator, rows)
        samples, values = sampled(judged, round_number), judged.values()
        alone = samples if judged.groups is None else sampled(judged.in_groups(None), round_number)
        for name, true in truth.items():
            kinds = {"percentiles": plain(samples[name], rows), "widened": interval(samples[name], judged.units)}
            if judged.groups is not None:
                kinds["widened, as if rows were independent"] = interval(alone[name], rows)
            if name == "accuracy":
                kinds["Wilson"] = wilson(values[name], rows)
            if name == "accuracy" and judged.groups is not None:
                worth = effective_rows(values[name], samples[name].std(), rows, judged.units)
                kinds["Wilson, effective rows"] = wilson(values[name], worth)
            for kind, found in kinds.items():
                hits.setdefault((name, kind), []).append(float(found["low"] <= true <= found["high"]))
    return {key: statistics.mean(inside) for key, inside in hits.items()}


def sampled(judged, seed):
    """The metrics of resamples."""
    weights = itertools.islice(itertools.chain.from_iterable(resamples(judged, seed)), RESAMPLES)
    return judged.metrics(np.stack(list(weights)))


def conformal_coverage(level, validation, generator, heavy):
    """The mean share of new targets within the interval that some validation rows give."""
    shares = []
    for _ in range(ROUNDS):
        known, new = numbers(generator, validation, heavy), numbers(generator, 1000, heavy)
        found = conformal(np.abs(known.targets - known.predicted).tolist(), level)
        shares.append(float((np.abs(new.targets - new.predicted) <= found.margin).mean()))
    return statistics.mean(shares)


def coverage_of_patients(level):
    """The mean and the deviation over 200 random splits of the share of test patients within their intervals.

    The rows are those of `diabetes`, 15 % for validation and 22 % for testing, and a ridge regression predicts them.
    """
    inputs, targets = load_diabetes(return_X_y=True)
    shares = []
    for seed in range(200):
        rows = np.random.default_rng(seed).permutation(len(targets))
        test, validation, train = np.split(rows, [98, 98 + 66])
        model = Ridge(alpha=0.1).fit(inputs[train], targets[train])
        distances = {
            name: np.abs(model.predict(inputs[own]) - targets[own]) for name, own in (("v", validation), ("t", test))
        }
        shares.append(float((distances["t"] <= conformal(distances["v"].tolist(), level).margin).mean()))
    return statistics.mean(shares), statistics.stdev(shares)


@click.command(help=__doc__)
@click.option(
    "--rows", "sizes", multiple=True, type=int, default=(30, 100, 400, 2000), show_default=True, help="Test rows."
)
@click.option(
    "--world", "chosen", type=click.Choice(list(WORLDS)), help="One world of the first table, and no other table."
)
def main(sizes, chosen):
    """Print the tables."""
    generator = np.random.default_rng(1)
    click.echo("| world | metric | interval | " + " | ".join(f"{rows:,} rows" for rows in sizes) + " |")
    click.echo("|---|---|---|" + "---|" * len(sizes))
    for world in [chosen] if chosen else WORLDS:
        columns = [covered(world, rows, generator) for rows in sizes]
        for name, kind in columns[0]:
            click.echo(
                f"| {world} | {name} | {kind} | " + " | ".join(f"{column[name, kind]:.1%}" for column in columns) + " |"
            )
    if chosen:
        return
    click.echo("\n| errors | level | " + " | ".join(f"{rows} validation rows" for rows in (50, 200, 1000)) + " |")
    click.echo("|---|---|---|---|---|")
    for heavy, level in itertools.product((False, True), (0.8, 0.9)):
        shares = [conformal_coverage(level, rows, generator, heavy) for rows in (50, 200, 1000)]
        click.echo(
            f"| {'heavy tails' if heavy else 'normal'} | {level:.0%} | "
            + " | ".join(f"{share:.1%}" for share in shares)
            + " |"
        )
    click.echo("\n| real patients, level | mean coverage of 200 splits | standard deviation |\n|---|---|---|")
    for level in (0.8, 0.9):
        click.echo(f"| {level:.0%} | " + " | ".join(f"{share:.1%}" for share in coverage_of_patients(level)) + " |")
    sizes = (100, 400, 2000, 7600)
    click.echo("\n| world | " + " | ".join(f"{rows:,} rows" for rows in sizes) + " |\n|---|---|---|---|---|")
    for world in list(WORLDS)[:2]:
        errors = [
            statistics.mean(calibration_error(WORLDS[world](generator, rows), 15) for _ in range(100)) for rows in sizes
        ]
        click.echo(f"| {world} | " + " | ".join(f"{error:.3f}" for error in errors) + " |")


if __name__ == "__main__":
    main()
