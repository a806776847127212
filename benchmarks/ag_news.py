"""Where the benchmarks' rows of AG News are."""

import os
from pathlib import Path

from retrain import files, schema
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


def read(block):
    """What the source of a dataset's block reads from the given files.

    Raises:
        RetrainError: `AG_NEWS_DIR` is not set.
    """
    from retrain.data.sources import SourceContext

    files_of = given()
    if files_of is None:
        raise RetrainError(VARIABLE, "is not set", "set it to the folder that has AG News")
    source, parameters = prepare_parameters({**block, "prepare": {**block["prepare"], **files_of}})
    here = Path.cwd()
    return source.read(parameters, SourceContext("ag_news", here, here, block["split"]["task"]))


def prepare_parameters(block):
    """The source of a dataset's block, and the checked parameters of prepare."""
    from retrain.data import sources

    source = sources.load(block["prepare"], "ag_news")
    return source, schema.check(block["prepare"], source.parameters, "prepare")


def splits(block, found):
    """The train and validation rows of what `read` found, prepared and split by a dataset's block."""
    import prepare
    from retrain.data import encoders, splitting

    cleaned, test = prepare.prepare(found, prepare_parameters(block)[1], "prepare")
    *inputs, _ = cleaned.rows.columns
    contents = encoders.load(block["split"]["encoder"]["name"], "split").Encoder.contents
    parameters = schema.check(block["split"], splitting.Split, "split")
    found = splitting.split(cleaned.rows, contents(cleaned.rows[inputs]), (test, contents(test[inputs])), parameters)
    return {name: found[name] for name in ("train", "validation")}
