"""Where the benchmarks' rows of AG News are."""

import os
from pathlib import Path

from retrain import files
from retrain.errors import RetrainError

VARIABLE = "AG_NEWS_DIR"


def given():
    """The two files of the folder that `AG_NEWS_DIR` names, as parameters of prepare; None where it is not set.

    Raises:
        RetrainError: the folder lacks one of them.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    paths = {name: Path(folder).resolve() / f"{name}.csv" for name in ("train", "test")}
    for path in paths.values():
        if not path.is_file():
            raise RetrainError(VARIABLE, f"has no {path.name} ({path.parent})", "name the folder that has AG News")
    return {name: {"location": str(path), "sha256": files.sha256(path)} for name, path in paths.items()}
