"""Every encoder, task, network, loss and source keeps its protocol.

A new file is found and tested by itself. Where its parameters are required, it says which ones the tests may use:
`EXAMPLE = {"hidden": 3}`.
"""

import importlib
import inspect
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain import params, schema
from retrain.data import encoders, sources, tasks
from retrain.data.encoders import Encoder
from retrain.data.encoders.mixed import Size
from retrain.data.loader import Examples, ordered_batches, shuffled_batches
from retrain.data.tasks import Task
from retrain.errors import RetrainError
from retrain.models import losses, networks
from retrain.models.losses import Loss
from retrain.training.loop import for_each_head

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from support.project import REPOSITORY, news_rows, number_rows

PACKAGES = {
    "sources": "retrain.data.sources",
    "encoders": "retrain.data.encoders",
    "tasks": "retrain.data.tasks",
    "networks": "retrain.models.networks",
    "losses": "retrain.models.losses",
}
TEXTS = [text for text, _ in news_rows(40, seed=3)]
NUMBERS = number_rows(40, seed=4)
FOLDS = 2
ROWS = {
    "text": pd.DataFrame({"title": TEXTS, "lead": TEXTS[::-1]}, dtype="str"),
    "numbers": pd.DataFrame([row[:2] for row in NUMBERS], columns=["a", "b"]),
    "anything": pd.DataFrame(
        {
            "text": pd.Series(TEXTS, dtype="str"),
            "a": [math.nan, *(row[0] for row in NUMBERS[1:])],
            "place": pd.Categorical([None, "x", *["sea", "farm"] * 19]),
            "street": pd.Categorical([f"street {number % 19}" for number in range(40)]),
            "day": pd.Series(pd.date_range("2020-01-30", periods=40, freq="35h").where(np.arange(40) != 5)),
        }
    ),
}
"""Input columns, by what an encoder's columns hold."""
TARGETS: dict[str, pd.Series] = {
    "classification": pd.Series(["sea", "farm", "sea", "city"] * 10, name="topic").astype(
        pd.CategoricalDtype(["sea", "farm", "city"])
    ),
    "regression": pd.Series([row[3] for row in NUMBERS], name="y"),
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "text": {"minimum_count": 2},
    "ngrams": {"minimum_count": 2, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 3},
    "ngrams-words": {"minimum_count": 2, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 0},
    "mixed": {
        "minimum_count": 2, "bins": 4, "hash_bits": 10, "char_ngrams": 3,
        "hidden": 6, "heads": 2, "category_dim": 3, "text_dim": 2, "dropout": 0.0, "blend": "linear",
    },
    "embedding_bag": {"embedding_dim": 4, "embedding_init": 0.5, "dropout": 0.0, "sparse": False},
    "mlp": {"hidden": 3, "dropout": 0.0},
    "ngram_bag": {"scale": 4.0, "sparse": False, "naive_bayes": 0.1},
    "cross_entropy": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "files": {
        "train": {"location": "data/raw/mine/rows.csv", "sha256": "unpinned"}, "header": True, "columns": ["a", "b"],
        "numbers": ["a"], "inputs": ["a"], "target": "b", "rename": {},
    },
    "docstrings": {"packages": ["click"], "minimum_words": 3},
    "scikit_learn": {"table": "iris"},
}  # fmt: skip
"""Parameters of the files that Retrain has, without their names. Behind a dash, others of the same file."""


def names(kind: str) -> list[str]:
    """The files of a package, and a second time those with other parameters."""
    files = params.choices(PACKAGES[kind])
    return [*files, *(name for name in PARAMETERS if "-" in name and name.partition("-")[0] in files)]


def module(kind: str, name: str) -> ModuleType:
    """A file of a package."""
    return importlib.import_module(f"{PACKAGES[kind]}.{name.partition('-')[0]}")


def checked(kind: str, name: str) -> Any:
    """A file's parameters for the tests; the test is skipped where there are none."""
    file = module(kind, name)
    model = file.Loss if kind == "losses" else file.Parameters
    given = PARAMETERS.get(name, getattr(file, "EXAMPLE", {}))
    if name in params.choices(PACKAGES["encoders"]) and name in params.choices(PACKAGES["networks"]):
        given = {key: value for key, value in given.items() if key in model.model_fields}
    missing = set(model.model_fields) - {"name", *given}
    if missing:
        pytest.skip(f"{kind}/{name}.py has no EXAMPLE that gives its parameters {', '.join(sorted(missing))}")
    return schema.check({"name": name.partition("-")[0], **given}, model, "parameters")


def fitted_encoder(name: str) -> tuple[Encoder, pd.DataFrame]:
    """An encoder, and the rows that it learned from."""
    encoder_class = module("encoders", name).Encoder
    rows, labels = ROWS[encoder_class.holds], np.arange(40, dtype=np.int64) % 3
    return encoder_class.fit_encode(rows, labels, checked("encoders", name))[0], rows


def fitted_task(name: str) -> tuple[Task, pd.Series]:
    """A task, and the targets that it learned from; the test is skipped where there are none."""
    targets = TARGETS.get(name, getattr(module("tasks", name), "EXAMPLE", None))
    if targets is None:
        pytest.skip(f"tasks/{name}.py has no EXAMPLE: a pandas Series of 40 targets")
    return tasks.load(name, "split.task").fit(targets, "split"), targets


def built_network(name: str, size: Any, outputs: int) -> networks.Network:
    """A network with the weights that torch's generator gives it."""
    size = Size(size, (20,), 30) if name == "mixed" and isinstance(size, int) else size
    return networks.build(module("networks", name), size, outputs, checked("networks", name), {"folds": FOLDS})


def losses_for(task: str) -> list[Loss]:
    """All losses that fit a task, with the parameters for the tests."""
    return [checked("losses", name) for name in names("losses") if module("losses", name).Loss.task == task]


def through_json(learned: Any) -> Any:
    """What is left of a value after it was written and read."""
    return json.loads(json.dumps(learned, allow_nan=False))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in PACKAGES for name in params.choices(PACKAGES[kind])]
)
def test_every_file_is_found(kind, name):
    assert params.choose(PACKAGES[kind], name, "parameter") is module(kind, name)
    assert module(kind, name).__doc__


@pytest.mark.parametrize("package", PACKAGES.values())
def test_unknown_name_is_refused(package):
    with pytest.raises(RetrainError, match=r"^parameter: unknown 'other'; (known are: |did you mean ')"):
        params.choose(package, "other", "parameter")


@pytest.mark.parametrize(
    ("protocol", "found"),
    [(Encoder, encoders.load(name, "").Encoder) for name in params.choices(PACKAGES["encoders"])]
    + [(Task, tasks.load(name, "")) for name in names("tasks")]
    + [(Loss, losses.load(name, "")) for name in names("losses")],
    ids=lambda value: value.__module__,
)
def test_methods_are_documented(protocol, found):
    methods = {name: method for name, method in vars(protocol).items() if inspect.isroutine(method) and name[0] != "_"}
    assert methods
    for name in methods:
        expected = inspect.signature(getattr(protocol, name)).parameters
        assert list(inspect.signature(getattr(found, name)).parameters) == list(expected), name
        assert inspect.getdoc(getattr(found, name)), name


@pytest.mark.parametrize("name", names("encoders"))
def test_encoder_survives_json(name):
    encoder, rows = fitted_encoder(name)
    again = type(encoder).from_json(through_json(encoder.to_json()))
    assert again == encoder
    assert again.to_json() == encoder.to_json()
    assert again.columns == tuple(rows.columns)
    assert again.size == encoder.size
    assert (sum(encoder.size[1]) if isinstance(encoder.size, Size) else encoder.size) > 1
    arrays = encoder.encode(rows)
    for array_name, array in again.encode(rows).items():
        assert array.dtype == arrays[array_name].dtype
        assert np.array_equal(array, arrays[array_name])


@pytest.mark.parametrize("name", names("encoders"))
def test_encoder_refuses_foreign_json(name):
    encoder, _ = fitted_encoder(name)
    written = through_json(encoder.to_json())
    for foreign in [
        {},
        [],
        None,
        *({**written, key: None} for key in written if key != "texts"),
        *({**written, key: []} for key in written if key not in ("numbers", "categories")),
        {**written, "more": 1},
    ]:
        with pytest.raises(ValueError, match="validation error"):
            type(encoder).from_json(foreign)


@pytest.mark.parametrize("name", names("encoders"))
def test_rows_do_not_depend_on_batch(name):
    encoder, rows = fitted_encoder(name)
    arrays = encoder.encode(rows)
    alone = encoder.gather(encoder.encode(rows.iloc[[7]]), np.array([0]))
    picked = encoder.gather(arrays, np.array([7]))
    assert [array.dtype for array in picked] == [array.dtype for array in alone]
    assert all(np.array_equal(one, other) for one, other in zip(picked, alone, strict=True))
    assert all(array.dtype in (np.int32, np.int64, np.float32) for array in picked)
    assert len(encoder.gather(arrays, np.array([3, 1, 3]))[-1]) == 3


@pytest.mark.parametrize("name", names("encoders"))
def test_different_rows_differ_in_content(name):
    encoder, rows = fitted_encoder(name)
    contents = encoder.contents(rows)
    assert contents == encoder.contents(rows)
    assert len(contents) == len(rows) == len(set(contents))


@pytest.mark.parametrize("name", names("encoders"))
def test_tables_and_lists_encode_alike(name):
    encoder, rows = fitted_encoder(name)
    _, arrays = type(encoder).fit_encode(rows, np.arange(40, dtype=np.int64) % 3, checked("encoders", name))
    for encoded in (encoder.encode(rows), encoder.encode({name: rows[name].tolist() for name in rows.columns})):
        assert {*encoded} <= {*arrays}
        assert all(np.array_equal(encoded[key], arrays[key]) for key in encoded)


@pytest.mark.parametrize("name", names("encoders"))
def test_bare_texts_become_rows(name):
    encoder, _ = fitted_encoder(name)
    try:
        rows = encoder.rows_of_texts(["a ship", "", "a cow"])
    except RetrainError as error:
        assert error.hint == "give a table: --file rows.csv"  # noqa: PT017 (an encoder may take texts)
    else:
        assert tuple(rows) == encoder.columns
        assert {len(column) for column in rows.values()} == {3}
        assert encoder.encode(rows)


@pytest.mark.parametrize("name", names("tasks"))
def test_task_survives_json(name):
    task, targets = fitted_task(name)
    again = type(task).from_json(through_json(task.to_json()))
    assert again == task
    assert again.to_json() == task.to_json()
    assert np.array_equal(again.encode(targets), task.encode(targets))
    outputs = torch.linspace(-1, 1, 5 * task.outputs).reshape(5, task.outputs)
    pd.testing.assert_frame_equal(*(pd.DataFrame(one.predictions(outputs)) for one in (again, task)))


@pytest.mark.parametrize("name", names("tasks"))
def test_task_refuses_foreign_json(name):
    task, _ = fitted_task(name)
    written = through_json(task.to_json())
    for foreign in [{}, [], None, *({**written, key: None} for key in written), {**written, "more": 1}]:
        with pytest.raises(ValueError, match="validation error"):
            type(task).from_json(foreign)


@pytest.mark.parametrize("name", names("tasks"))
def test_task_refuses_other_targets(name):
    for other, targets in TARGETS.items():
        if name in TARGETS and other != name:
            with pytest.raises(
                RetrainError, match=rf"^split: column '{targets.name}' holds .*; set split.task: {other}$"
            ):
                tasks.load(name, "split.task").fit(targets, "split")


@pytest.mark.parametrize("name", names("tasks"))
def test_losses_and_measure_take_targets(name):
    task, targets = fitted_task(name)
    encoded = torch.from_numpy(task.encode(targets))
    outputs = torch.randn(len(targets), task.outputs, generator=torch.Generator().manual_seed(0))
    for loss in losses_for(name):
        assert loss(outputs, encoded).shape == loss.plain(outputs, encoded).shape == ()
        assert loss(outputs, encoded).isfinite()
    totals = task.totals(outputs, encoded)
    assert totals.dtype == torch.float64
    halves = task.totals(outputs[:7], encoded[:7]) + task.totals(outputs[7:], encoded[7:])
    metrics = task.metrics_of(halves, len(targets))
    assert set(metrics) == set(task.metrics)
    assert all(value >= 0 for value in metrics.values())
    assert metrics == pytest.approx(task.metrics_of(totals, len(targets)))


@pytest.mark.parametrize("name", names("tasks"))
def test_predictions_and_answers_agree(name):
    task, targets = fitted_task(name)
    outputs = torch.randn(len(targets), task.outputs, generator=torch.Generator().manual_seed(0))
    predictions = pd.DataFrame(task.predictions(outputs))
    assert len(predictions) == len(targets)
    assert predictions.columns[0] == "predicted"
    answers = task.answers(outputs)
    assert through_json(answers) == answers
    for prediction, answer in zip(predictions.to_dict("records"), answers, strict=True):
        assert prediction["predicted"] in answer.values()
        for label, probability in answer.get("probabilities", {}).items():
            assert prediction[f"probability_{label}"] == probability


@pytest.mark.parametrize("name", TARGETS)
def test_no_constant_beats_baseline(name):
    task, targets = fitted_task(name)
    encoded = torch.from_numpy(task.encode(targets))
    loss = checked("losses", {"classification": "cross_entropy", "regression": "mean_squared_error"}[name]).plain
    baseline = torch.tensor([task.baseline]).expand(len(targets), -1)
    for number in range(task.outputs):
        for step in (-0.1, 0.1):
            moved = baseline.clone()
            moved[:, number] += step
            assert loss(moved, encoded) > loss(baseline, encoded)


@pytest.mark.parametrize("name", names("networks"))
@pytest.mark.parametrize("task_name", names("tasks"))
def test_network_fits_encoder_and_task(name, task_name):
    takes = module("networks", name).Network.takes
    fitting = [encoder for encoder in names("encoders") if module("encoders", encoder).Encoder.gives == takes]
    assert fitting, f"no encoder gives {takes}"
    encoder, rows = fitted_encoder(fitting[0])
    task, targets = fitted_task(task_name)
    folds = {"folds": np.arange(40) % FOLDS} if module("networks", name).Network.uses_folds else {}
    examples = Examples({**encoder.encode(rows), "targets": task.encode(targets), **folds}, encoder.gather)
    torch.manual_seed(0)
    network = built_network(name, encoder.size, task.outputs)
    for batches in (ordered_batches(examples, 16), shuffled_batches(examples, 16, 0, 0)):
        for inputs, batch_targets in batches:
            outputs = network(*inputs)
            assert outputs.shape[1] == task.outputs
            wanted = for_each_head(batch_targets, len(outputs))
            assert len(outputs) == len(wanted)
            losses_for(task_name)[0](outputs, wanted).backward()
            network.eval()
            assert network(*inputs).shape == (len(batch_targets), task.outputs)
            network.train()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", names("networks"))
def test_seed_decides_initial_weights(name):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return built_network(name, 6, 2).state_dict()

    assert all(torch.equal(tensor, weights(1)[name]) for name, tensor in weights(1).items())
    drawn = {name: tensor for name, tensor in weights(1).items() if tensor.any()}  # a linear network may begin at zero
    assert not drawn or not all(torch.equal(tensor, weights(2)[name]) for name, tensor in drawn.items())


@pytest.mark.parametrize("name", names("networks"))
def test_network_builds_on_meta_device(name):
    with torch.device("meta"):
        empty = built_network(name, 6, 2).state_dict()
    built = built_network(name, 6, 2).state_dict()
    assert {name: tensor.shape for name, tensor in empty.items()} == {name: t.shape for name, t in built.items()}
    assert all(tensor.is_meta for tensor in empty.values())


def source_block(name: str) -> dict[str, Any]:
    """A prepare section that names a source; the test is skipped where its parameters are unknown."""
    given = PARAMETERS.get(name, getattr(module("sources", name), "EXAMPLE", None))
    if given is None:
        pytest.skip(f"sources/{name}.py has no EXAMPLE of its parameters")
    return {"source": name, "repairs": [], **given}


@pytest.mark.parametrize("name", names("sources"))
def test_source_gives_same_columns_again(name, tmp_path):
    raw = tmp_path / "data" / "raw" / "mine"
    raw.mkdir(parents=True)
    (raw / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    block = source_block(name)
    source = sources.load(block, "mine")
    parameters = schema.check(block, source.parameters, "prepare")
    where = sources.SourceContext("mine", workspace=tmp_path, root=tmp_path)
    source.fetch(parameters, where)
    read = source.read(parameters, where)
    assert len(read.rows.columns) >= 2
    assert len(read.rows) >= 2
    assert read.rows.index.tolist() == list(range(len(read.rows)))
    for column in read.rows:
        assert read.rows[column].dtype == "float64" or all(isinstance(value, str) for value in read.rows[column])
    pd.testing.assert_frame_equal(source.read(parameters, where).rows, read.rows)


@pytest.mark.parametrize("name", names("sources"))
def test_source_parameters_are_strict(name):
    parameters = sources.load({"source": name}, "mine").parameters
    with pytest.raises(RetrainError, match=r"^prepare: unknown parameter 'colour'; "):
        schema.check({**source_block(name), "colour": 1}, parameters, "prepare")


@pytest.mark.parametrize("table", ["diabetes", "iris", "wine", "breast_cancer"])
def test_bundled_tables(table):
    block = {"source": "scikit_learn", "repairs": [], "table": table}
    source = sources.load(block, "mine")
    here = Path()
    read = source.read(schema.check(block, source.parameters, "prepare"), sources.SourceContext("mine", here, here))
    *inputs, target = read.rows.columns
    assert all(read.rows[name].dtype == "float64" for name in inputs)
    if read.classes:
        assert set(read.rows[target]) == set(read.classes)
    else:
        assert read.rows[target].dtype == "float64"


def test_committed_choices_exist():
    blocks = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())["datasets"].values()
    for path, package in params.CHOICES.items():
        assert {params.value_at(block, path) for block in blocks} <= set(params.choices(package))
