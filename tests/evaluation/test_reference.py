"""The reference is the model that scikit-learn fits."""

import json

from retrain.evaluation.reference import linear

import numpy as np
import pandas as pd
import pytest

KINDS = {"age": "number", "income": "number", "city": "category", "flat": "number"}


def table(seed: int, rows: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame({
        "age": np.where(draw.random(rows) < 0.2, np.nan, draw.normal(40.0, 10.0, rows)),
        "income": draw.lognormal(3.0, 1.0, rows),
        "city": draw.choice(["Berne", "Lyon", "Oslo"], rows),
        "flat": np.ones(rows),
    })  # fmt: skip


def columns_of(rows: pd.DataFrame) -> dict:
    return {name: rows[name].tolist() if KINDS[name] == "category" else rows[name].to_numpy() for name in rows}


def score(rows: pd.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(len(rows)).normal(size=len(rows))
    return np.log(rows["income"]) + rows["age"].fillna(60.0) / 10 + (rows["city"] == "Oslo") * 2 + noise


def by_hand(train: pd.DataFrame, test: pd.DataFrame) -> list[pd.DataFrame]:
    """The columns, prepared with pandas."""
    median, prepared = train["age"].median(), []
    for rows in (train, test):
        numbers = pd.DataFrame({"age": rows["age"].fillna(median), "income": rows["income"]})
        own = numbers if rows is train else prepared[0][["raw_age", "raw_income"]].set_axis(["age", "income"], axis=1)
        scaled = ((numbers - own.mean()) / own.std(ddof=0)).clip(-10, 10)
        dummies = pd.get_dummies(rows["city"], dtype=float)
        raw = numbers.add_prefix("raw_")
        prepared.append(pd.concat([scaled, rows["age"].isna().astype(float).rename("gone"), dummies, raw], axis=1))
    return [rows.drop(columns=["raw_age", "raw_income"]) for rows in prepared]


@pytest.mark.parametrize("classes", [2, 4])
def test_classes(classes):
    from sklearn.linear_model import LogisticRegression

    train, test = table(1, 400), table(2, 100)
    targets = pd.qcut(score(train), classes, labels=False).to_numpy().astype(np.int64)
    outputs = linear(columns_of(train), columns_of(test), KINDS, targets, classes)
    prepared, others = by_hand(train, test)
    strength = 2.0 if classes == 2 else 1.0  # of two classes, scikit-learn regularises the difference of their weights
    expected = LogisticRegression(C=strength, max_iter=1000, tol=1e-8).fit(prepared, targets).predict_proba(others)
    assert outputs.softmax(dim=1).numpy() == pytest.approx(expected, abs=2e-3)


def test_numbers():
    from sklearn.linear_model import Ridge

    train, test = table(1, 400), table(2, 100)
    targets = score(train).to_numpy()
    outputs = linear(columns_of(train), columns_of(test), KINDS, targets.astype(np.float32)[:, None], 1)
    prepared, others = by_hand(train, test)
    expected = Ridge(alpha=1.0).fit(prepared, targets).predict(others)
    assert outputs[:, 0].numpy() == pytest.approx(expected, abs=5e-3)


def test_texts_and_dates():
    draw = np.random.default_rng(1)
    words = np.array(["good", "bad", "fine", "film", "plot", "not"])

    def texts(rows: int) -> tuple[list[str], np.ndarray]:
        drawn = [draw.choice(words, 6) for _ in range(rows)]
        return [" ".join(row) for row in drawn], np.array(["good" in row for row in drawn], np.int64)

    (train, targets), (test, expected) = texts(500), texts(200)
    outputs = linear({"text": train}, {"text": test}, {"text": "text"}, targets, 2)
    assert (outputs.argmax(dim=1).numpy() == expected).mean() > 0.97

    days = np.datetime64("2020-01-01T00:00:00", "s") + np.arange(100).astype("timedelta64[D]")
    days[3] = np.datetime64("NaT")
    line = np.arange(100, dtype=np.float32)[:, None] / 30
    fitted = linear({"day": days}, {"day": days}, {"day": "date"}, line, 1)[:, 0].numpy()
    assert np.delete(fitted, 3) == pytest.approx(np.delete(line[:, 0], 3), abs=0.1)


NAMES = [
    f"{first} {last}"
    for first in ["Ada", "Bo", "Cy", "Dee", "Eve", "Flo", "Gus"]
    for last in ["Ek", "Li", "Oh", "Sy", "Um"]
]
GUESTS = {"age": "number", "name": "text"}


def test_names_do_not_distract():
    draw = np.random.default_rng(3)
    train, test = ({"age": draw.normal(size=80), "name": draw.choice(NAMES, 80).tolist()} for _ in range(2))
    targets = (train["age"] + draw.normal(size=80)).astype(np.float32)[:, None]
    plain = linear(train, test, {"age": "number"}, targets, 1)
    assert linear(train, test, GUESTS, targets, 1).numpy() == pytest.approx(plain.numpy())


@pytest.mark.parametrize("rows", [2, 500, 30_000])
def test_texts_count_next_to_numbers(rows):
    draw = np.random.default_rng(4)
    guests = {"age": draw.normal(size=rows), "name": draw.choice(NAMES, rows).tolist()}
    targets = np.array([name.startswith(("Bo", "Flo")) for name in guests["name"]], np.int64)
    found = linear(guests, guests, GUESTS, targets, 2).argmax(dim=1).numpy()
    assert (found == targets).mean() > 0.99


def test_odd_columns():
    """Columns that are constant, missing in all rows or far away, and values that train does not have."""
    train = {"a": np.full(30, np.nan), "b": np.arange(30.0), "c": ["x"] * 30, "d": [None] * 30, "e": [None, ""] * 15}
    test = {
        "a": np.array([1.0, np.nan]),
        "b": np.array([1e150, np.nan]),
        "c": ["y", None],
        "d": ["z", None],
        "e": ["!", None],
    }
    kinds = {"a": "number", "b": "number", "c": "category", "d": "category", "e": "text"}
    outputs = linear(train, test, kinds, np.arange(30) % 3, 5)
    assert outputs.shape == (2, 5)
    assert json.dumps(outputs.isfinite().all().item()) == "true"


def test_same_bytes_again():
    train, targets = table(1, 300), np.arange(300) % 3
    first, second = (linear(columns_of(train), columns_of(train), KINDS, targets, 3) for _ in range(2))
    assert first.numpy().tobytes() == second.numpy().tobytes()
