"""What others need for the same rows: fastText, LinearSVC, NB-SVM. Runs in the environment of requirements.txt.

Reads a JSON file with `train` and `test`, each `{"texts": [...], "labels": [...]}`, and prints a line of JSON.
"""

import json
import re
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

PASSES = 3
"""So often all test rows are predicted."""
PUNCTUATION = re.compile(r"([^\w\s])")
SETTING = {"dim": 10, "lr": 0.25, "wordNgrams": 2, "epoch": 5, "bucket": 10_000_000, "verbose": 0}
"""fastText's best setting with bigrams on these rows; its authors' for AG News, but for the learning rate."""


def spaced(text):
    """Lower case, punctuation between spaces: what fastText's own scripts do to AG News."""
    return " ".join(PUNCTUATION.sub(r" \1 ", text.lower()).split())


def accuracy(predicted, labels):
    """The share of rows whose label is right."""
    return sum(one == other for one, other in zip(predicted, labels, strict=True)) / len(labels)


def fasttext(rows, threads, seed):
    """Train once; then predict all test rows and single ones, on one thread as it always does."""
    import fasttext as library

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        train = [
            f"__label__{label} {spaced(text)}"
            for text, label in zip(rows["train"]["texts"], rows["train"]["labels"], strict=True)
        ]
        spacing = time.perf_counter() - begin
        path = Path(folder, "train.txt")
        path.write_text("\n".join(train) + "\n", encoding="utf-8")
        begin = time.perf_counter()
        model = library.train_supervised(str(path), thread=threads, seed=seed, **SETTING)
        trained = time.perf_counter() - begin
        model.save_model(str(Path(folder, "model.bin")))
        size = Path(folder, "model.bin").stat().st_size
    taken = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        predicted, _ = model.predict([spaced(text) for text in rows["test"]["texts"]])
        taken.append(time.perf_counter() - begin)
    labels = [int(one[0].removeprefix("__label__")) for one in predicted]
    return {
        "train_seconds": trained,
        "spacing_seconds": spacing,
        "accuracy": accuracy(labels, rows["test"]["labels"]),
        "predict_rows_per_second": len(labels) / statistics.median(taken),
        "model_bytes": size,
    }


def linear(rows, *, naive_bayes):
    """TF-IDF of words and pairs into LinearSVC, one against the rest; or each weighted by log-count ratios first."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    begin = time.perf_counter()
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")  # noqa: S106
    train, labels = vectorizer.fit_transform(rows["train"]["texts"]), np.array(rows["train"]["labels"])
    features = time.perf_counter() - begin
    test = vectorizer.transform(rows["test"]["texts"])
    begin = time.perf_counter()
    if not naive_bayes:
        predicted = LinearSVC(C=0.5).fit(train, labels).predict(test)
    else:
        scores, present = [], train > 0  # ratios of rows that have a word, not of TF-IDF: the better of the two
        for label in sorted(set(labels)):
            inside, outside = present[labels == label].sum(axis=0) + 1.0, present[labels != label].sum(axis=0) + 1.0
            ratios = np.asarray(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))
            model = LinearSVC(C=0.5).fit(train.multiply(ratios).tocsr(), labels == label)
            scores.append(model.decision_function(test.multiply(ratios).tocsr()))
        predicted = np.array(sorted(set(labels)))[np.argmax(scores, axis=0)]
    trained = time.perf_counter() - begin
    return {
        "train_seconds": trained,
        "feature_seconds": features,
        "accuracy": accuracy(predicted.tolist(), rows["test"]["labels"]),
    }


def ridge(tables):
    """The coefficient of determination of Ridge on each split of numbers, standardised on its train rows."""
    import numpy as np
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score

    scores = []
    for table in tables:
        (train, targets), (test, wanted) = ((np.array(part["inputs"]), np.array(part["targets"])) for part in table)
        mean, deviation = train.mean(axis=0), train.std(axis=0)
        model = RidgeCV(alphas=np.logspace(-3, 3, 25)).fit((train - mean) / deviation, targets)
        scores.append(float(r2_score(wanted, model.predict((test - mean) / deviation))))
    return {"r2": scores}


def main():
    """`others.py METHOD FILE [THREADS SEED]`."""
    method, file = sys.argv[1:3]
    rows = json.loads(Path(file).read_text(encoding="utf-8"))
    methods = {
        "fasttext": lambda: fasttext(rows, int(sys.argv[3]), int(sys.argv[4])),
        "linear_svc": lambda: linear(rows, naive_bayes=False),
        "nb_svm": lambda: linear(rows, naive_bayes=True),
        "ridge": lambda: ridge(rows),
        "versions": lambda: {name: version(name) for name in ("fasttext-wheel", "scikit-learn")},
    }
    print(json.dumps(methods[method]()))


if __name__ == "__main__":
    main()
