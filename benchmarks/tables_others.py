"""Linear models and boosted trees with their default parameters, on the splits of a dataset; LightGBM where it is installed.

Called by tables.py with the folder of the splits; prints JSON: method, metric, value. It imports nothing of Retrain.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

try:
    import lightgbm
except ImportError:
    lightgbm = None

PARTS = ("year", "month", "day", "weekday", "hour")


def prepared(rows):
    """Columns that scikit-learn takes: dates become numbers, a missing text is empty, a missing category one of its own."""
    columns, kinds = {}, {"numbers": [], "categories": [], "texts": []}
    for name, values in rows.items():
        if values.dtype.kind == "M":
            parts = {f"{name} {part}": getattr(values.dt, part).astype(float) for part in PARTS}
            parts[f"{name} days"] = (values - pd.Timestamp("1970-01-01")).dt.total_seconds() / 86400
            columns |= parts
            kinds["numbers"] += parts
        elif values.dtype == "float64":
            columns[name] = values
            kinds["numbers"].append(name)
        else:
            kind, missing = ("categories", "missing value") if str(values.dtype) == "category" else ("texts", "")
            columns[name] = values.astype(object).where(values.notna(), missing)
            kinds[kind].append(name)
    return pd.DataFrame(columns), kinds


def models(kinds, *, label):
    """Each method, untrained; trees see no texts, so a table of texts alone has none."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    parts = [
        ("numbers", numbers, kinds["numbers"]),
        ("categories", OneHotEncoder(handle_unknown="ignore"), kinds["categories"]),
    ]
    linear = ColumnTransformer([*parts, *((name, TfidfVectorizer(), name) for name in kinds["texts"])])
    yield "linear", make_pipeline(linear, LogisticRegression(max_iter=2000) if label else Ridge())
    if not kinds["numbers"] + kinds["categories"]:
        return
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = ColumnTransformer(
        [("numbers", "passthrough", kinds["numbers"]), ("categories", codes, kinds["categories"])]
    )
    boosting = HistGradientBoostingClassifier if label else HistGradientBoostingRegressor
    yield "boosting", make_pipeline(trees, boosting(random_state=0))
    if lightgbm is not None:
        boosting = lightgbm.LGBMClassifier if label else lightgbm.LGBMRegressor
        yield "lightgbm", make_pipeline(trees, boosting(random_state=0, verbose=-1, n_jobs=2))


def scored(model, inputs, targets, *, label):
    """The metrics of a trained model on test rows."""
    predicted = model.predict(inputs)
    if not label:
        rmse = metrics.root_mean_squared_error(targets, predicted)
        return {"r2": metrics.r2_score(targets, predicted), "rmse": rmse}
    losses = metrics.log_loss(targets, model.predict_proba(inputs), labels=model.classes_)
    macro_f1 = metrics.f1_score(targets, predicted, average="macro")
    return {"accuracy": metrics.accuracy_score(targets, predicted), "macro_f1": macro_f1, "log_loss": losses}


def main(folder):
    """Train and score every method."""
    splits = {
        name: pd.read_parquet(folder / f"{name}.parquet")
        for name in ("train", "validation", "test")
        if (folder / f"{name}.parquet").exists()
    }
    train, test = pd.concat([part for name, part in splits.items() if name != "test"]), splits["test"]
    *names, target = train.columns
    label = str(train[target].dtype) == "category"
    targets = {id(part): part[target].astype(str) if label else part[target] for part in (train, test)}
    found = {}
    for method, model in models(prepared(train[names])[1], label=label):
        begin = time.perf_counter()
        model.fit(prepared(train[names])[0], targets[id(train)])
        seconds = time.perf_counter() - begin
        values = scored(model, prepared(test[names])[0], targets[id(test)], label=label)
        found[method] = {**{metric: float(value) for metric, value in values.items()}, "seconds": seconds}
    print(
        json.dumps(
            {method: {name: float(np.round(value, 6)) for name, value in one.items()} for method, one in found.items()}
        )
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
