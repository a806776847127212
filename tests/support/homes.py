"""A table of numbers with gaps, categories, dates and texts, and the dataset that learns from it."""

from pathlib import Path

from support.project import block, write_csv

ENCODER = {"name": "mixed", "bins": 2, "minimum_count": 2, "hash_bits": 10, "char_ngrams": 0}
NETWORK = {"name": "mixed", "hidden": 5, "heads": 3, "category_dim": 2, "text_dim": 2, "dropout": 0.0}
FOLDS = 4


def mixed_block(task: str) -> dict:
    """A dataset of numbers with gaps, categories, dates and texts."""
    target = "label" if task == "classification" else "y"
    columns = ["a", "town", "street", "day", "note", target]
    prepare = {
        "source": "files", "repairs": [], "header": True, "columns": columns, "rename": {},
        "numbers": ["a", "y"] if target == "y" else ["a"], "categories": ["town", "street"], "dates": ["day"],
        "train": {"location": f"data/raw/homes_{task}/rows.csv", "sha256": "unpinned"},
        "inputs": columns[:-1], "target": target,
    }  # fmt: skip
    loss = {"name": "cross_entropy", "label_smoothing": 0.0, "class_weights": "balanced"}
    train = {
        "network": {**NETWORK, "blend": "linear"}, "loss": loss if task == "classification" else {"name": "mean_squared_error"},
        "optimizer": {
            "name": "adamw_rowwise", "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01, "sparse_learning_rate": 0.3,
        },
        "schedule": {"name": "warm_cosine", "warmup": 0.05}, "calibration": {"probabilities": True, "threshold": "half", "at_least": 0.9, "level": 0.9}, "device": "cpu", "threads": 1, "saved_dtype": "float32",
        "loop": {
            "epochs": 12, "batch_size": 16, "learning_rate": 0.02, "clip_norm": None, "ema_decay": 0.9,
            "best_by": "macro_f1" if task == "classification" else "loss", "patience": 12, "seed": 1,
        },
    }  # fmt: skip
    made = block(prepare, "mixed", task, train)
    made["split"] = {"folds": FOLDS, "test": 0.2, "seed": 1, "task": task, "encoder": ENCODER}
    return made


def write_homes(folder: Path, task: str) -> None:
    """The table of `mixed_block`: the target depends on all columns but the street and the day."""
    worth = {"Ely": 2.0, "Ware": -2.0, "Hay": 1.0, "": 0.0}
    rows = []
    for number in range(240):
        a, town, note = (number * 37 % 100) / 25 - 2, list(worth)[number * 7 % 4], ["good", "poor"][number * 11 % 2]
        y = a + worth[town] + (1.5 if note == "good" else -1.5)
        target = ("high" if y > 0 else "low") if task == "classification" else round(y, 3)
        rows.append([a if number % 9 else "", town, f"s{number % 30}", f"2024-{number % 12 + 1:02d}-03", note, target])
    target = "label" if task == "classification" else "y"
    write_csv(
        folder / "data" / "raw" / f"homes_{task}" / "rows.csv", ["a", "town", "street", "day", "note", target], rows
    )
