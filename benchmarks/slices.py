"""How often slices are found although errors are random: `python benchmarks/slices.py`. It takes about two minutes."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from retrain.evaluation.slices import groupings, worst_slices

import numpy as np

KINDS = {"age": "number", "city": "category", "note": "text", "day": "date"}


def table(draw, rows):
    """A number with missing values, a category, a text and a date."""
    return {
        "age": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(40.0, 10.0, rows)),
        "city": draw.choice(["Berne", "Lyon", "Oslo", "Porto"], rows, p=[0.5, 0.3, 0.15, 0.05]).tolist(),
        "note": ["word " * length for length in draw.integers(0, 40, rows)],
        "day": np.datetime64("2020-01-01T00:00:00", "s") + draw.integers(0, 10**8, rows).astype("timedelta64[s]"),
    }


def smallest_p(seed, rows, kind):
    """The smallest p-value of a table whose losses have nothing to do with its columns."""
    draw = np.random.default_rng(seed)
    losses = (draw.random(rows) < 0.1).astype(float) if kind == "errors" else draw.lognormal(size=rows)
    answers = draw.choice(["no", "yes"], rows).tolist()
    found = worst_slices(groupings(table(draw, rows), KINDS, ("answer", answers)), losses, "loss")
    return min(found["p_value"], default=1.0)


def main():
    """Print the share of tables in which a slice is found, for several p-values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    tables = parser.parse_args().tables
    for kind in ("errors", "skewed"):
        for rows in (100, 1_000):
            found = np.array([smallest_p(seed, rows, kind) for seed in range(tables)])
            shares = ", ".join(f"p <= {level}: {(found <= level).mean():.1%}" for level in (0.01, 0.05, 0.2))
            print(f"{kind}, {rows:,} rows: {shares}", flush=True)


if __name__ == "__main__":
    main()
