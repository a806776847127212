"""Small tables that come with scikit-learn: `diabetes`, `iris`, `wine`, `breast_cancer`."""

from typing import Literal

from retrain.data.sources import Source, SourceContext, SourceParameters, SourceRows, nothing_to_fetch

__all__ = ["SOURCE", "Parameters"]


class Parameters(SourceParameters):
    """Parameters of `source: scikit_learn`."""

    table: Literal["diabetes", "iris", "wine", "breast_cancer"]


TARGETS = {"diabetes": "progression", "iris": "species", "wine": "cultivar", "breast_cancer": "diagnosis"}


def read(parameters: Parameters, _context: SourceContext) -> SourceRows:
    """One table in its original units. Classes have their names instead of numbers."""
    from sklearn import datasets

    unscaled = {"scaled": False} if parameters.table == "diabetes" else {}
    bunch = getattr(datasets, f"load_{parameters.table}")(as_frame=True, **unscaled)
    rows = bunch.data.astype("float64")
    names = tuple(map(str, bunch.get("target_names", ())))
    target = bunch.target.map(dict(enumerate(names))).astype("str") if names else bunch.target.astype("float64")
    return SourceRows(
        rows=rows.assign(**{TARGETS[parameters.table]: target}), official_test=None, classes=names, notes=()
    )


SOURCE = Source(parameters=Parameters, read=read, fetch=nothing_to_fetch)
