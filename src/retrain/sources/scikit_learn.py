"""The small tables that scikit-learn carries: `diabetes`, `iris`, `wine`, `breast_cancer`."""

from typing import Literal

from retrain.sources import Place, Source, SourceKnobs, SourceRows, nothing_to_fetch


class Knobs(SourceKnobs):
    """Knobs of `source: scikit_learn`."""

    table: Literal["diabetes", "iris", "wine", "breast_cancer"]


TARGETS = {"diabetes": "progression", "iris": "species", "wine": "cultivar", "breast_cancer": "diagnosis"}


def read(knobs: Knobs, _place: Place) -> SourceRows:
    """One bundled table in its original units; a class is its name, not its number."""
    from sklearn import datasets

    unscaled = {"scaled": False} if knobs.table == "diabetes" else {}
    bunch = getattr(datasets, f"load_{knobs.table}")(as_frame=True, **unscaled)
    rows = bunch.data.astype("float64")
    names = tuple(map(str, bunch.get("target_names", ())))
    target = bunch.target.map(dict(enumerate(names))).astype("str") if names else bunch.target.astype("float64")
    return SourceRows(rows=rows.assign(**{TARGETS[knobs.table]: target}), official_test=None, classes=names, notes=())


SOURCE = Source(knobs=Knobs, read=read, fetch=nothing_to_fetch)
