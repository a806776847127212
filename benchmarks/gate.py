"""How often `retrain gate` is wrong: simulated pairs of models whose true drop is known, and years of weekly gates.

`python benchmarks/gate.py` takes about ten minutes on one core and prints tables of Markdown. No data is needed.
"""

import itertools
import math

from retrain.evaluation.intervals import Judged
from retrain.evaluation.noninferiority import (
    CANNOT_DECIDE,
    FAIL,
    PASS,
    Drop,
    Errors,
    answer,
    bound,
    drops,
    quantile,
)

import click
import numpy as np

CONFIDENCE, USES = 0.95, 52
SIZES = (98, 500, 5000)
LIMITS = {"accuracy": 0.03, "rmse": 0.05}
DROPS = {"better by x": -1, "equal": 0, "worse by x": 1, "worse by 2x": 2}
"""True drops, in limits."""
ACCURACY, DISAGREEMENT = 0.90, 0.08
"""The accuracy of the other model, and the share of rows on which exactly one of the two is right."""
SHARED = 0.9
"""The correlation of the two models' errors."""
RESAMPLES = 400
YEAR_ROWS = 5000
ROOM = 1.1
"""The limit in a simulated year, as a multiple of the smallest one that can be decided; at 1.0 half of the answers are "cannot decide"."""


def classes(generator, rows, drop):
    """Two models of two classes that disagree on a fixed share of the rows."""
    lost, gained = (DISAGREEMENT + drop) / 2, (DISAGREEMENT - drop) / 2
    kinds = generator.choice(4, rows, p=(ACCURACY - lost, lost, gained, 1 - ACCURACY - gained))
    targets = np.ones(rows, np.int64)
    return tuple(of_right(targets, np.isin(kinds, right)) for right in ((0, 1), (0, 2)))


def of_right(targets, right):
    """A model that is right on some rows."""
    predicted = np.where(right, targets, 1 - targets)
    return Judged(targets, predicted, np.eye(2)[predicted])


def numbers(generator, rows, drop, *, heavy=False):
    """Two models of numbers whose errors are correlated: normal, or of a t distribution with five degrees of freedom."""
    size = np.sqrt(generator.chisquare(5, rows) / 3) if heavy else 1.0
    first, own = generator.normal(size=(2, rows))
    second = SHARED * first + math.sqrt(1 - SHARED**2) * own
    return Judged(np.zeros(rows), first / size), Judged(np.zeros(rows), (1 + drop) * second / size)


WORLDS = {
    "accuracy": ("accuracy", classes),
    "rmse, normal errors": ("rmse", numbers),
    "rmse, heavy tails": ("rmse", lambda *arguments: numbers(*arguments, heavy=True)),
}


def of_gate(metric, first, second, limit, alpha):
    """The method that Retrain uses."""
    return answer(drops(first, second, [metric], 15, Errors(alpha, alpha))[metric], limit)


def of_normal(metric, first, second, limit, alpha):
    """Wald's interval of paired shares, for comparison with Tango's."""
    change = (first.predicted == first.targets).astype(float) - (second.predicted == second.targets)
    value, error = change.mean(), change.std(ddof=1) / math.sqrt(len(change))
    z = quantile(alpha)
    return answer(Drop(value, value - z * error, value + z * error, 2 * z * error), limit)


def of_bootstrap(metric, first, second, limit, alpha):
    """Percentiles of a paired bootstrap."""
    rows, generator = len(first), np.random.default_rng(1)
    if metric == "accuracy":
        change = (first.predicted == first.targets).astype(int) - (second.predicted == second.targets)
        counts = np.array([(change == kind).sum() for kind in (-1, 0, 1)])
        drawn = generator.multinomial(rows, counts / rows, RESAMPLES)
        samples = (drawn[:, 2] - drawn[:, 0]) / rows
    else:
        squares = np.stack([np.square(one.predicted - one.targets) for one in (first, second)])
        sums = squares[:, generator.integers(0, rows, (RESAMPLES, rows))].sum(axis=2)
        samples = np.sqrt(sums[1] / sums[0]) - 1
    low, high = np.quantile(samples, [alpha, 1 - alpha])
    return answer(Drop(0.0, low, high, high - low), limit)


def of_permutation(metric, first, second, limit, alpha):
    """A test that flips the signs of how far each row is from the limit: `pass` or not."""
    if metric == "accuracy":
        change = (first.predicted == first.targets).astype(float) - (second.predicted == second.targets) - limit
    else:
        then, now = (np.square(one.predicted - one.targets) for one in (first, second))
        change = now - (1 + limit) ** 2 * then
    signs = np.random.default_rng(1).integers(0, 2, (RESAMPLES, len(change)), np.int8) * 2.0 - 1
    reached = int((signs @ change <= change.sum()).sum())
    return PASS if (reached + 1) / (RESAMPLES + 1) <= alpha else CANNOT_DECIDE


METHODS = {"accuracy": {"Tango's score test": of_gate, "Wald's interval": of_normal}, "rmse": {"jackknife": of_gate}}
OTHERS = {"paired bootstrap": of_bootstrap, "permutation of signs": of_permutation}


def shares(world, method, rows, drop, alpha, rounds):  # noqa: PLR0913, PLR0917 (a cell has many settings)
    """The share of each answer among simulated pairs."""
    metric, make = WORLDS[world]
    generator, limit = np.random.default_rng([rows, drop + 1]), LIMITS[metric]
    answers = [method(metric, *make(generator, rows, drop * limit), limit, alpha) for _ in range(rounds)]
    return {name: answers.count(name) / rounds for name in (PASS, FAIL, CANNOT_DECIDE)}


def print_methods(rounds):
    """The error rates of all methods, for a single use."""
    click.echo("| question | method | " + " | ".join(f"false pass, {rows:,} rows" for rows in SIZES) + " | "
               + " | ".join(f"equal passes, {rows:,} rows" for rows in SIZES) + " |")  # fmt: skip
    click.echo("|---|---|" + "---|" * 2 * len(SIZES))
    for world, (metric, _) in WORLDS.items():
        for name, method in (METHODS[metric] | OTHERS).items():
            cells = [
                shares(world, method, rows, drop, 1 - CONFIDENCE, rounds)[PASS]
                for drop, rows in itertools.product((1, 0), SIZES)
            ]
            click.echo(f"| {world} | {name} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |")


def print_answers(rounds, uses):
    """The answers of the gate, when the error rate is divided by some uses."""
    click.echo("| question | rows | " + " | ".join(DROPS) + " |\n|---|---|" + "---|" * len(DROPS))
    for world, rows in itertools.product(WORLDS, SIZES):
        cells = []
        for drop in DROPS.values():
            found = shares(world, of_gate, rows, drop, (1 - CONFIDENCE) / uses, rounds)
            cells.append(" / ".join(f"{100 * found[name]:.1f}" for name in (PASS, FAIL, CANNOT_DECIDE)))
        click.echo(f"| {world} | {rows:,} | " + " | ".join(cells) + " |")


def year(generator, drop, alpha, room, *, fresh, luckiest):  # noqa: PLR0913 (a simulation has many settings)
    """The answers of weekly gates, under a limit that is near the smallest one that the rows can decide.

    A row is hard or easy, and equally so for all models.

    Args:
        generator: the random numbers.
        drop: the true drop of every candidate, in limits.
        alpha: the error rate of one use.
        room: the limit, as a multiple of the smallest one.
        fresh: whether each week has new test rows.
        luckiest: whether the other model is the best of all earlier ones on these rows, instead of always the same.
    """
    rows, answers, z = YEAR_ROWS, [], quantile(alpha)
    targets = np.ones(rows, np.int64)
    for week in range(USES):
        if fresh or not week:
            hard = np.where(generator.random(rows) < 0.2, 0.5, 1.0)
            champion = generator.random(rows) < hard
            apart = 2 * (hard * (1 - hard)).sum()
            limit = room * (bound(apart / 2, apart / 2, rows, z) + z * math.sqrt(apart) / rows)
        candidate = generator.random(rows) < hard
        candidate &= generator.random(rows) >= drop * limit / hard.mean()
        pair = [of_right(targets, right) for right in (champion, candidate)]
        answers.append(of_gate("accuracy", *pair, limit, alpha))
        if luckiest and candidate.sum() > champion.sum():
            champion = candidate
    return answers


def print_years(rounds):
    """How often a year has an error.

    A usual gate has 5 % for each use, and blocks a model that does not pass. Retrain's has them for all uses together.
    """
    click.echo(f"| in {USES} weekly gates on {YEAR_ROWS:,} rows | 5 % per gate | 5 % for all uses |\n|---|---|---|")
    kinds = {
        "an equal model is blocked at least once; new rows each week": (0, True, False),
        "the same; the same rows and champion all year": (0, False, False),
        "the same; and each week's champion is the best so far on these rows": (0, False, True),
        "a model that is worse by x passes at least once; new rows each week": (1, True, False),
        "the same; the same rows and champion": (1, False, False),
    }
    for title, (drop, fresh, luckiest) in kinds.items():
        cells = []
        for uses, room, blocked in ((1, 1.0, {FAIL, CANNOT_DECIDE}), (USES, ROOM, {FAIL})):
            generator, alpha = np.random.default_rng(1), (1 - CONFIDENCE) / uses
            years = [year(generator, drop, alpha, room, fresh=fresh, luckiest=luckiest) for _ in range(rounds)]
            wrong = {PASS} if drop else blocked
            cells.append(f"{np.mean([bool(wrong & {*answers}) for answers in years]):.1%}")
        click.echo(f"| {title} | " + " | ".join(cells) + " |")


def print_decidable():
    """The smallest drop of accuracy that can be decided."""
    click.echo(
        "| rows that only one model gets right | uses | "
        + " | ".join(f"{rows:,} rows" for rows in (*SIZES, 50000))
        + " |"
    )
    click.echo("|---|---|" + "---|" * 4)
    for share, uses in itertools.product((0.02, 0.08), (1, USES)):
        z, cells = quantile((1 - CONFIDENCE) / uses), []
        for rows in (*SIZES, 50000):
            half = share * rows / 2
            cells.append(f"{100 * (bound(half, half, rows, z) + z * math.sqrt(share / rows)):.1f}")
        click.echo(f"| {share:.0%} | {uses} | " + " | ".join(cells) + " |")


@click.command(help=__doc__)
@click.option("--rounds", default=1000, show_default=True, help="Simulated pairs per cell.")
@click.option("--years", default=400, show_default=True, help="Simulated years per cell.")
def main(rounds, years):
    """Print the tables."""
    click.echo(f"Limits x: {LIMITS}. Shares of {rounds:,} pairs.\n")
    print_methods(rounds)
    for uses in (1, USES):
        click.echo(f"\nAnswers in %: pass / fail / cannot decide, for {uses} planned use{'s' if uses > 1 else ''}\n")
        print_answers(rounds, uses)
    click.echo(f"\nShares of {years:,} years\n")
    print_years(years)
    click.echo("\nSmallest drop of accuracy that can be decided, in points\n")
    print_decidable()


if __name__ == "__main__":
    main()
