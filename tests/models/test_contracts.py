"""Every encoder, task, network and source keeps its protocol. A new file is found and tested by itself."""

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from retrain import params, schema
from retrain.data import encoders, sources, tasks
from retrain.data.encoders import Encoder, EncoderFile
from retrain.data.loader import Examples, ordered_batches, shuffled_batches
from retrain.data.tasks import Task
from retrain.errors import RetrainError
from retrain.models import networks
from retrain.models.losses import LOSSES

import numpy as np
import pandas as pd
import pytest
import torch
from ruamel.yaml import YAML
from support.project import REPOSITORY, news_rows, number_rows

PACKAGE = REPOSITORY / "src" / "retrain"
TEXTS = [text for text, _ in news_rows(40, seed=3)]
NUMBERS = number_rows(40, seed=4)

# What the tests need to know of each file; a new one without an entry is noticed.
# For each encoder: parameters, and rows with two columns. Behind a dash, other parameters of the same encoder.
INPUTS: dict[str, tuple[dict[str, Any], pd.DataFrame]] = {
    "text": ({"minimum_count": 2}, pd.DataFrame({"title": TEXTS, "lead": TEXTS[::-1]}, dtype="str")),
    "ngrams": (
        {"minimum_count": 2, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 3},
        pd.DataFrame({"title": TEXTS, "lead": TEXTS[::-1]}, dtype="str"),
    ),
    "ngrams-words": (
        {"minimum_count": 2, "min_log_ratio": 0.1, "hash_bits": 12, "char_ngrams": 0},
        pd.DataFrame({"title": TEXTS, "lead": TEXTS[::-1]}, dtype="str"),
    ),
    "numbers": ({}, pd.DataFrame([row[:2] for row in NUMBERS], columns=["a", "b"])),
}
TARGETS: dict[str, pd.Series] = {
    "label": pd.Series(["sea", "farm", "sea", "city"] * 10, name="topic").astype(
        pd.CategoricalDtype(["sea", "farm", "city"])
    ),
    "number": pd.Series([row[3] for row in NUMBERS], name="y"),
}
NETWORKS: dict[str, dict[str, Any]] = {
    "embedding_bag": {"embedding_dim": 4, "embedding_init": 0.5, "dropout": 0.0, "sparse": False},
    "mlp": {"hidden": 3, "dropout": 0.0},
    "ngram_bag": {"embedding_dim": 4, "embedding_init": 0.05, "output_init": 0.5, "sparse": False},
}
SOURCES: dict[str, dict[str, Any]] = {
    "files": {
        "train": {"location": "data/raw/mine/rows.csv", "sha256": "unpinned"}, "header": True, "columns": ["a", "b"], "numbers": ["a"],
        "inputs": ["a"], "target": "b", "rename": {},
    },
    "docstrings": {"packages": ["click"], "minimum_words": 3},
    "scikit_learn": {"table": "iris"},
}  # fmt: skip


def names_in(folder: str) -> list[str]:
    """The files of a package."""
    return sorted(path.stem for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__")


def module(folder: str, name: str) -> ModuleType:
    """A file of a package."""
    return importlib.import_module(f"retrain.{folder}.{name}")


def encoder_file(name: str) -> EncoderFile:
    """The file of an encoder in INPUTS."""
    return encoders.load(name.partition("-")[0], "split.encoder.name")


def fitted_encoder(name: str) -> tuple[Encoder, pd.DataFrame]:
    """An encoder, and the rows that it learned from."""
    parameters, rows = INPUTS[name]
    file = encoder_file(name)
    labels = np.array([number % 3 for number in range(len(rows))], dtype=np.int64)
    return file.Encoder.fit(rows, labels, schema.check(parameters, file.Parameters, "split.encoder")), rows


def fitted_objective(name: str) -> tuple[Task, pd.Series]:
    """An task, and the targets that it learned from."""
    return tasks.load(name, "split.task").fit(TARGETS[name], "split"), TARGETS[name]


def through_json(learned: Any) -> Any:
    """What is left of a value after it was written and read."""
    return json.loads(json.dumps(learned, allow_nan=False))


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("encoders", {name.partition("-")[0] for name in INPUTS}),
        ("tasks", TARGETS),
        ("networks", NETWORKS),
        ("sources", SOURCES),
    ],
)
def test_every_file_is_found_by_its_name_and_explains_itself(folder, known):
    assert sorted(known) == names_in(folder)
    for name in names_in(folder):
        assert params.choose(f"retrain.{folder}", name, "parameter") is module(folder, name)
        assert module(folder, name).__doc__
    with pytest.raises(RetrainError, match=r"^parameter: unknown 'other'; (known are: |did you mean ')"):
        params.choose(f"retrain.{folder}", "other", "parameter")


@pytest.mark.parametrize(
    ("protocol", "found"),
    [(Encoder, encoders.load(name, "").Encoder) for name in names_in("encoders")]
    + [(Task, tasks.load(name, "")) for name in names_in("tasks")],
    ids=lambda value: value.__module__,
)
def test_every_method_of_the_protocol_is_there_with_its_parameters_and_documented(protocol, found):
    methods = {name: method for name, method in vars(protocol).items() if inspect.getdoc(method) and name[0] != "_"}
    assert len(methods) > 5
    for name, method in methods.items():
        if isinstance(method, property):
            continue  # a field of the dataclass will do
        expected = inspect.signature(getattr(protocol, name)).parameters
        assert list(inspect.signature(getattr(found, name)).parameters) == list(expected), name
        assert inspect.getdoc(getattr(found, name)), name


@pytest.mark.parametrize("name", INPUTS)
def test_an_encoder_that_was_written_and_read_encodes_the_same(name):
    encoder, rows = fitted_encoder(name)
    again = type(encoder).from_json(through_json(encoder.to_json()))
    assert again == encoder
    assert again.to_json() == encoder.to_json()
    assert again.columns == tuple(rows.columns)
    assert again.size == encoder.size > 1
    arrays = encoder.encode(rows)
    for array_name, array in again.encode(rows).items():
        assert array.dtype == arrays[array_name].dtype
        assert np.array_equal(array, arrays[array_name])


@pytest.mark.parametrize("name", INPUTS)
def test_an_encoder_refuses_what_it_has_not_written(name):
    encoder, _ = fitted_encoder(name)
    written = through_json(encoder.to_json())
    for foreign in [
        {},
        [],
        None,
        *({**written, key: None} for key in written),
        *({**written, key: []} for key in written),
        {**written, "more": 1},
    ]:
        with pytest.raises(ValueError, match="validation error"):
            type(encoder).from_json(foreign)


@pytest.mark.parametrize("name", INPUTS)
def test_gathered_batches_are_the_same_rows_whichever_batch_they_are_in(name):
    encoder, rows = fitted_encoder(name)
    arrays = encoder.encode(rows)
    alone = encoder.gather(encoder.encode(rows.iloc[[7]]), np.array([0]))
    picked = encoder.gather(arrays, np.array([7]))
    assert [array.dtype for array in picked] == [array.dtype for array in alone]
    assert all(np.array_equal(one, other) for one, other in zip(picked, alone, strict=True))
    assert all(array.dtype in (np.int64, np.float32) for array in picked)
    assert len(encoder.gather(arrays, np.array([3, 1, 3]))[-1]) == 3


def damaged(array: np.ndarray) -> Iterator[np.ndarray]:
    """Arrays that would lead elsewhere, or nowhere: one value is out of range, or the type or the shape is another one."""
    yield from (array[:-1], array[None], array.astype(np.complex128), array.astype(array.dtype.newbyteorder(">")))
    for value in (-1, 2**31 - 1) if array.dtype.kind == "i" else (np.nan, np.inf):
        wrong = array.copy()
        wrong.flat[-1] = value
        yield wrong


@pytest.mark.parametrize("name", INPUTS)
def test_an_encoder_knows_its_arrays_and_turns_down_damaged_ones(name):
    encoder, rows = fitted_encoder(name)
    arrays = encoder.encode(rows)
    assert encoder.fits(arrays, len(rows))
    assert not encoder.fits(arrays, len(rows) + 1)
    assert not encoder.fits({**arrays, "more": np.zeros(1)}, len(rows))
    for key in arrays:
        assert not encoder.fits({other: array for other, array in arrays.items() if other != key}, len(rows))
        for wrong in damaged(arrays[key]):
            assert not encoder.fits({**arrays, key: wrong}, len(rows)), (key, wrong.dtype, wrong.shape)


@pytest.mark.parametrize("name", names_in("tasks"))
def test_an_objective_knows_its_targets_and_turns_down_damaged_ones(name):
    task, targets = fitted_objective(name)
    encoded = task.encode(targets)
    assert task.fits(encoded, len(targets))
    assert not task.fits(encoded, len(targets) + 1)
    for wrong in damaged(encoded):
        assert not task.fits(wrong, len(targets))


@pytest.mark.parametrize("name", INPUTS)
def test_rows_with_equal_content_have_equal_bytes_and_others_have_not(name):
    encoder, rows = fitted_encoder(name)
    contents = encoder.contents(rows)
    assert contents == encoder.contents(rows)
    assert len(contents) == len(rows) == len(set(contents))


@pytest.mark.parametrize("name", INPUTS)
def test_learning_and_encoding_at_once_is_learning_and_then_encoding_tables_or_lists(name):
    encoder, rows = fitted_encoder(name)
    labels = np.array([number % 3 for number in range(len(rows))], dtype=np.int64)
    parameters = schema.check(INPUTS[name][0], encoder_file(name).Parameters, "split.encoder")
    at_once, arrays = type(encoder).fit_encode(rows, labels, parameters)
    assert at_once == encoder
    for encoded in (encoder.encode(rows), encoder.encode({name: rows[name].tolist() for name in rows.columns})):
        assert list(encoded) == list(arrays)
        assert all(np.array_equal(encoded[key], arrays[key]) for key in arrays)


@pytest.mark.parametrize("name", INPUTS)
def test_bare_texts_become_rows_or_an_error_that_says_what_to_give(name):
    encoder, _ = fitted_encoder(name)
    try:
        rows = encoder.rows_of_texts(["a ship", "", "a cow"])
    except RetrainError as error:
        assert error.hint == "give it a table: --file rows.csv"  # noqa: PT017 (an encoder may take texts)
    else:
        assert tuple(rows) == encoder.columns
        assert {len(column) for column in rows.values()} == {3}
        assert encoder.encode(rows)


@pytest.mark.parametrize("name", names_in("tasks"))
def test_an_objective_that_was_written_and_read_predicts_the_same(name):
    task, targets = fitted_objective(name)
    again = type(task).from_json(through_json(task.to_json()))
    assert again == task
    assert again.to_json() == task.to_json()
    assert np.array_equal(again.encode(targets), task.encode(targets))
    outputs = torch.linspace(-1, 1, 5 * task.outputs).reshape(5, task.outputs)
    pd.testing.assert_frame_equal(again.predictions(outputs), task.predictions(outputs))


@pytest.mark.parametrize("name", names_in("tasks"))
def test_an_objective_refuses_what_it_has_not_written(name):
    task, _ = fitted_objective(name)
    written = through_json(task.to_json())
    for foreign in [{}, [], None, *({**written, key: None} for key in written), {**written, "more": 1}]:
        with pytest.raises(ValueError, match="validation error"):
            type(task).from_json(foreign)


@pytest.mark.parametrize("name", names_in("tasks"))
def test_an_objective_refuses_targets_of_the_other_kind_and_says_what_to_set(name):
    others = [targets for other, targets in TARGETS.items() if other != name]
    for targets in others:
        with pytest.raises(RetrainError, match=rf"^split: column '{targets.name}' holds .*; set '\w+'$"):
            tasks.load(name, "split.task").fit(targets, "split")


@pytest.mark.parametrize("name", names_in("tasks"))
def test_the_losses_and_the_measure_take_outputs_and_targets_as_the_objective_gives_them(name):
    task, targets = fitted_objective(name)
    encoded = torch.from_numpy(task.encode(targets))
    outputs = torch.randn(len(targets), task.outputs, generator=torch.Generator().manual_seed(0))
    assert task.losses
    for loss in task.losses:
        assert LOSSES[loss](outputs, encoded).shape == ()
    measures = task.measure(outputs, encoded)
    assert measures.shape == (len(targets),)
    assert measures.dtype == torch.float64
    assert task.metric_of(measures.mean().item()) >= 0


@pytest.mark.parametrize("name", names_in("tasks"))
def test_predictions_have_a_row_per_example_and_each_is_answered_with_json(name):
    task, targets = fitted_objective(name)
    outputs = torch.randn(len(targets), task.outputs, generator=torch.Generator().manual_seed(0))
    predictions = task.predictions(outputs)
    assert len(predictions) == len(targets)
    assert predictions.columns[0] == "predicted"
    answers = task.answers(outputs)
    assert through_json(answers) == answers
    for prediction, answer in zip(predictions.to_dict("records"), answers, strict=True):
        assert prediction["predicted"] in answer.values()
        for label, probability in answer.get("probabilities", {}).items():
            assert prediction[f"probability_{label}"] == probability


@pytest.mark.parametrize("name", names_in("tasks"))
def test_no_constant_output_has_a_lower_loss_than_the_baseline(name):
    task, targets = fitted_objective(name)
    encoded = torch.from_numpy(task.encode(targets))
    loss = LOSSES[task.losses[0]]
    baseline = torch.tensor([task.baseline]).expand(len(targets), -1)
    for number in range(task.outputs):
        for step in (-0.1, 0.1):
            moved = baseline.clone()
            moved[:, number] += step
            assert loss(moved, encoded) > loss(baseline, encoded)


@pytest.mark.parametrize("name", names_in("tasks"))
def test_a_better_epoch_has_a_higher_score(name):
    task, _ = fitted_objective(name)
    better = {"accuracy": task.score(0.5, 0.9), "rmse": task.score(0.4, 0.9)}
    assert better[task.metric] > task.score(0.5, 0.8)


@pytest.mark.parametrize("name", names_in("networks"))
@pytest.mark.parametrize("target", names_in("tasks"))
def test_a_network_takes_what_its_encoder_gathers_and_gives_what_every_objective_wants(name, target):
    file = networks.load(name, "train.network.name")
    parameters = schema.check({"name": name, **NETWORKS[name]}, file.Parameters, "train.network")
    encoder, rows = fitted_encoder(file.Network.takes)
    task, targets = fitted_objective(target)
    examples = Examples({**encoder.encode(rows), "targets": task.encode(targets)}, encoder.gather)
    torch.manual_seed(0)
    network = file.Network(encoder.size, task.outputs, parameters)
    for batches in (ordered_batches(examples, 16), shuffled_batches(examples, 16, 0, 0)):
        for inputs, wanted in batches:
            outputs = network(*inputs)
            assert outputs.shape == (len(wanted), task.outputs)
            LOSSES[task.losses[0]](outputs, wanted).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", names_in("networks"))
def test_a_seed_decides_a_networks_initial_weights(name):
    file = networks.load(name, "train.network.name")
    parameters = schema.check({"name": name, **NETWORKS[name]}, file.Parameters, "train.network")

    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return file.Network(6, 2, parameters).state_dict()

    assert all(torch.equal(tensor, weights(1)[name]) for name, tensor in weights(1).items())
    assert not all(torch.equal(tensor, weights(2)[name]) for name, tensor in weights(1).items())


@pytest.mark.parametrize("name", names_in("networks"))
def test_a_network_that_is_built_without_memory_has_the_same_shapes(name):
    file = networks.load(name, "train.network.name")
    parameters = schema.check({"name": name, **NETWORKS[name]}, file.Parameters, "train.network")
    with torch.device("meta"):
        empty = file.Network(6, 2, parameters).state_dict()
    built = file.Network(6, 2, parameters).state_dict()
    assert {name: tensor.shape for name, tensor in empty.items()} == {name: t.shape for name, t in built.items()}
    assert all(tensor.is_meta for tensor in empty.values())


@pytest.mark.parametrize("name", names_in("sources"))
def test_a_source_gives_inputs_and_a_target_of_texts_and_numbers_the_same_ones_every_time(name, tmp_path):
    raw = tmp_path / "data" / "raw" / "mine"
    raw.mkdir(parents=True)
    (raw / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    block = {"source": name, "repairs": [], **SOURCES[name]}
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


@pytest.mark.parametrize("name", names_in("sources"))
def test_a_sources_knobs_are_strict(name):
    parameters = sources.load({"source": name}, "mine").parameters
    with pytest.raises(RetrainError, match=r"^prepare: unknown parameter 'colour'; "):
        schema.check({"source": name, "repairs": [], **SOURCES[name], "colour": 1}, parameters, "prepare")


@pytest.mark.parametrize("table", ["diabetes", "iris", "wine", "breast_cancer"])
def test_every_bundled_table_gives_numbers_and_classes_by_name(table):
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


def test_every_choice_that_the_committed_params_make_is_a_file_here():
    blocks = YAML(typ="safe").load((REPOSITORY / "params.yaml").read_text())["datasets"].values()
    assert {block["prepare"]["source"] for block in blocks} <= set(names_in("sources"))
    assert {block["split"]["inputs"] for block in blocks} <= set(names_in("encoders"))
    assert {block["split"]["target"] for block in blocks} <= set(names_in("tasks"))
    assert {block["train"]["network"]["name"] for block in blocks} <= set(names_in("networks"))
