"""params.yaml is read strictly, into values that nothing can change. An error names everything that is wrong."""

import copy
import datetime as dt
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from retrain import params, schema, yaml_files
from retrain.data import encoders, sources, splitting
from retrain.errors import RetrainError
from retrain.evaluation.parameters import Evaluate, Plot
from retrain.models import networks
from retrain.training import optimizers, setup

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML
from support.project import REPOSITORY, SHIPPED, tiny_datasets, write_yaml

unhurried = settings(deadline=None, max_examples=200)
COMMITTED = params.datasets(REPOSITORY)
LOOP = {
    "epochs": 1,
    "batch_size": 1,
    "learning_rate": 0.5,
    "clip_norm": 1.0,
    "ema_decay": None,
    "best_by": "loss",
    "patience": 1,
    "seed": 0,
}


def loop_of(yaml: str) -> setup.Loop:
    """The loop's section with these lines of YAML."""
    return schema.check({**LOOP, **YAML(typ="safe").load(yaml)}, setup.Loop, "loop")


@pytest.mark.parametrize("dataset", COMMITTED)
def test_committed_params_are_valid(dataset):
    block = params.dataset_block(REPOSITORY, dataset)
    assert schema.check(block["prepare"], sources.load(block["prepare"], dataset).parameters, "prepare")
    parameters = schema.check(block["split"], splitting.Split, "split")
    assert (
        schema.check(
            parameters.encoder,
            encoders.load(parameters.encoder.get("name"), "split.encoder.name").Parameters,
            "split.encoder",
        )
        is not None
    )
    section = schema.check(block["train"], setup.Train, "train")
    assert schema.check(section.network, networks.load(section.network["name"], "network").Parameters, "network")
    chosen = {"optimizer": section.optimizer, "schedule": section.schedule}
    assert schema.check(chosen, optimizers.Parameters, "train").optimizer.name == section.optimizer["name"]
    assert schema.check(block["evaluate"], Evaluate, "evaluate")
    assert schema.check(block["plot"], Plot, "plot")


def test_committed_params_have_all_datasets():
    assert set(SHIPPED) <= set(COMMITTED)


@pytest.mark.parametrize("dataset", SHIPPED)
def test_committed_params_train_on_the_cpu(dataset):
    assert params.dataset_block(REPOSITORY, dataset)["train"]["device"] == "cpu"


@pytest.mark.parametrize(("spelt", "number"), [("1e-3", 0.001), ("5e-1", 0.5), ("1.", 1.0), ("2", 2.0), (".5", 0.5)])
def test_numbers_are_spelt_as_in_dvc(spelt, number):
    assert loop_of(f"learning_rate: {spelt}").learning_rate == number


@pytest.mark.parametrize(
    "line",
    [
        "epochs: true", "epochs: 1.0", "epochs: '1'", "epochs: 0", "epochs: -1", "epochs: null", "epochs: [1]",
        "learning_rate: true", "learning_rate: '0.1'", "learning_rate: .inf", "learning_rate: .nan", "learning_rate: 0",
        "seed: -1", "seed: 0.5", "seed: 4294967296",
    ],
)  # fmt: skip
def test_wrong_values_are_never_converted(line):
    with pytest.raises(RetrainError, match=rf"^loop.{line.split(':')[0]} is .*, but must be .+; "):
        loop_of(line)


SPLIT = {"validation": 0.2, "test": 0.2, "seed": 1, "task": "classification", "encoder": {"name": "text"}}
ADAMW = {"optimizer": {"name": "adamw", "weight_decay": 0.0}, "schedule": {"name": "linear"}}
OLD_NETWORK = {"name": "embedding_bag", "width": 8, "initial_range": 0.1, "dropout": 0.0, "sparse": True}
OLD_ENCODER = {"name": "ngrams", "minimum_count": 1, "minimum_ratio": 0.5, "bits": 22, "characters": 5}


def without(parameters: dict[str, Any], *names: str) -> dict[str, Any]:
    """Parameters without those of these names."""
    return {name: value for name, value in parameters.items() if name not in names}


@pytest.mark.parametrize(
    ("parameters", "model", "expected"),
    [
        ({**LOOP, "epochs": 0}, setup.Loop, "x.epochs is 0, but must be greater than 0; correct the value"),
        ({**LOOP, "epochs": "3"}, setup.Loop, "x.epochs is the text '3', but must be a whole number; remove the quotes"),
        ({**SPLIT, "validation": 15}, splitting.Split, "x.validation is 15, but must be less than 1 or null; correct the value"),
        ({**SPLIT, "task": 3}, splitting.Split, "x.task is 3, but must be text; put it in quotes"),
        ({**SPLIT, "encoder": "text"}, splitting.Split,
         "x.encoder is the text 'text', but must be a mapping; correct the value"),
        ({**LOOP, "clip_norm": "None"}, setup.Loop, "x.clip_norm is the text 'None', but must be a number or null; write null"),
        ({**LOOP, "seed": None}, setup.Loop, "x.seed is empty, but must be a whole number; correct the value"),
        (3, setup.Loop, "x is 3, but must be a mapping; correct the value"),
        (without(LOOP, "seed"), setup.Loop, "x.seed is missing; add it: neither the block nor 'defaults' has it"),
        (without(LOOP, "epochs", "seed"), setup.Loop,
         "x: epochs and seed are missing; add them: neither the block nor 'defaults' has them"),
        (ADAMW, optimizers.Parameters,
         "x: optimizer.beta1 and optimizer.beta2 are missing; add them: neither the block nor 'defaults' has them"),
        ({**without(LOOP, "epochs"), "epoch": 3}, setup.Loop, "x: unknown parameter 'epoch'; did you mean 'epochs'?"),
        ({**without(LOOP, "epochs", "seed"), "epoch": 3, "batch_size": "8"}, setup.Loop,
         ("x: unknown parameter 'epoch' (did you mean 'epochs'?), and batch_size is the text '8', but must be a whole "
         "number (remove the quotes), and seed is missing; correct each of them")),
        ({**ADAMW, "optimizer": {"name": "adam"}, "schedule": {}}, optimizers.Parameters,
         "x: optimizer.name: unknown 'adam' (did you mean 'adamw'?), and schedule.name is missing; correct each of them"),
        ({"name": "text", "minimum_count": 1, "columns": []}, encoders.load("text", "x").Parameters,
         "x: unknown parameter 'columns'; known are: minimum_count, name"),
        ({**without(SPLIT, "task"), "target": "label"}, splitting.Split,
         "x: 'target' is now called 'task'; write task: classification"),
        ({**without(SPLIT, "task", "encoder"), "target": "number", "inputs": "numbers"}, splitting.Split,
         ("x: 'target' is now called 'task' (write task: regression), and 'inputs' is now called 'encoder.name' "
         "(write encoder.name: numbers); correct each of them")),
        (OLD_ENCODER, encoders.load("ngrams", "x").Parameters,
         ("x: 'minimum_ratio' is now called 'min_log_ratio' (write min_log_ratio: 0.5), and 'bits' is now called "
         "'hash_bits' (write hash_bits: 22), and 'characters' is now called 'char_ngrams' (write char_ngrams: 5); "
         "correct each of them")),
        (OLD_NETWORK, networks.load("embedding_bag", "x").Parameters,
         ("x: 'width' is now called 'embedding_dim' (write embedding_dim: 8), and 'initial_range' is now called "
         "'embedding_init' (write embedding_init: 0.1); correct each of them")),
    ],
)  # fmt: skip
def test_errors_name_all_wrong_parameters(parameters, model, expected):
    section = {"Split": "split", "Loop": "loop"}.get(model.__name__, "optimizer")
    section = {encoders: "encoder", networks: "network"}.get(package_of(model), section)
    with pytest.raises(RetrainError) as caught:
        schema.check(parameters, model, f"p.{section}")
    assert str(caught.value) == expected.replace("x", f"p.{section}", 1)


def package_of(model: type[schema.Section]) -> object:
    """The package of choices that a model belongs to, if it does."""
    return next((package for package in (encoders, networks) if model.__module__.startswith(package.__name__)), None)


def test_a_stage_replaces_the_hint():
    with pytest.raises(RetrainError, match=r"^x\.epochs is 0, but must be greater than 0; run: dvc repro train@mine$"):
        schema.check({**LOOP, "epochs": 0}, setup.Loop, "x", "run: dvc repro train@mine")


@unhurried
@given(st.sampled_from(sorted(LOOP)))
def test_no_parameter_has_a_default(name):
    with pytest.raises(
        RetrainError, match=rf"^loop.{name} is missing; add it: neither the block nor 'defaults' has it$"
    ):
        schema.check(without(LOOP, name), setup.Loop, "loop")


def block_error(folder: Path, blocks: dict[Any, Any], check: Callable[[Path, str], object]) -> str:
    """The error of the dataset `mine` in a params.yaml with these blocks."""
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump({"datasets": blocks}, file)
    with pytest.raises(RetrainError) as caught:
        check(folder, "mine")
    return str(caught.value).removeprefix("params.yaml: datasets")


def old_names(block: dict[str, Any]) -> None:
    block["split"] = {"inputs": "text", "target": "label", "encoder": {"minimum_count": 1}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda block: block["prepare"].update(source="file"), ".mine.prepare.source: unknown 'file'; did you mean 'files'?"),
        (lambda block: block["prepare"].update(soruce=block["prepare"].pop("source")),
         ".mine.prepare: unknown parameter 'soruce'; did you mean 'source'?"),
        (lambda block: block["prepare"].pop("source"),
         ".mine.prepare.source is missing; add it: neither the block nor 'defaults' has it"),
        (lambda block: (block["split"].update(task="labels"), block["train"]["network"].update(name="embeding_bag")),
         (".mine: split.task: unknown 'labels' (known are: classification, regression), and train.network.name: "
         "unknown 'embeding_bag' (did you mean 'embedding_bag'?); correct each of them")),
        (old_names,
         (".mine: split: 'inputs' is now called 'encoder.name' (write encoder.name: text), and split: 'target' is now "
         "called 'task' (write task: classification); correct each of them")),
    ],
)  # fmt: skip
def test_choices_are_checked_first(tmp_path, change, expected):
    block = copy.deepcopy(tiny_datasets())["tiny_news"]
    change(block)
    assert block_error(tmp_path, {"mine": block}, params.check_choices) == expected


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ({"mind": {}}, ": unknown dataset 'mine'; did you mean 'mind'?"),
        ({"mine": 3}, ".mine is not a mapping; give it the sections prepare, split, train, evaluate, plot"),
        ({"mine": dict.fromkeys(["prepare", "split", "train", "plot"])},
         ".mine.evaluate is missing; add it: neither the block nor 'defaults' has it"),
        ({"mine": dict.fromkeys(["prepare", "split", "evaluate"])},
         ".mine: train and plot are missing; add them: neither the block nor 'defaults' has them"),
        ({"mine": dict.fromkeys(["prepare", "split", "trian", "evaluate", "plot"])},
         ".mine: unknown section 'trian'; did you mean 'train'?"),
    ],
)  # fmt: skip
def test_sections_are_checked_at_once(tmp_path, blocks, expected):
    assert block_error(tmp_path, blocks, params.dataset_block) == expected


def test_dataset_at_the_top_level_is_named(tmp_path):
    write_yaml(tmp_path / "params.yaml", {"datasets": {"other": {}}, "mine": {}})
    expected = "^dataset 'mine' is at the top level of params.yaml; indent it below 'datasets:'$"
    with pytest.raises(RetrainError, match=expected):
        params.dataset_block(tmp_path, "mine")


@pytest.mark.parametrize("name", ["reviews.v2", "20news", 2024, dt.date(2024, 5, 9), "_x", "-x", "é", "a b", "a" * 101])
def test_names_that_dvc_rejects_are_errors(tmp_path, name):
    error = block_error(tmp_path, {"mine": {}, name: {}}, lambda folder, _: params.datasets(folder))
    assert error.startswith(": ")
    assert error.endswith(
        " can't be the name of a dataset, because 'dvc exp run -S' would not take it; "
        "use a letter, then up to 99 letters, digits, '_' and '-'"
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mine", "Mine"], "'Mine' and 'mine' differ only in case, and would share their folders on many disks; rename one of them"),
        (["mine", "con"], "'con' can't be the name of a folder on Windows; rename it"),
        (["mine", "Lpt1"], "'Lpt1' can't be the name of a folder on Windows; rename it"),
    ],
)  # fmt: skip
def test_names_work_on_all_disks(tmp_path, names, expected):
    error = block_error(tmp_path, {name: {} for name in names}, lambda folder, _: params.datasets(folder))
    assert error == f": {expected}"


@pytest.mark.parametrize("name", ["my-data", "Reviews", "no", "a1_b-2", "a" * 100, "console", "com10"])
def test_names_that_dvc_takes_are_valid(tmp_path, name):
    with (tmp_path / "params.yaml").open("w") as file:
        YAML(typ="safe").dump({"datasets": {name: {}}}, file)
    assert list(params.datasets(tmp_path)) == [name]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a:\n  b: 1\n c: 2\n",
         ("params.yaml, line 3, column 2 is not valid YAML (did not find expected key, while parsing a block mapping that "
         "starts in line 1); check the indentation (spaces, no tabs), quotes and brackets there")),
        ("a: @b\n",
         ("params.yaml, line 1, column 4 is not valid YAML (found character that cannot start any token); check the "
         "indentation (spaces, no tabs), quotes and brackets there")),
        ("a: 1\na: 2\n",
         ('params.yaml, line 2, column 1 is not valid YAML (found duplicate key "a" with value "2" (original value: "1"), '
         "while constructing a mapping that starts in line 1); correct the line")),
        ("a: !mine 1\n",
         ("params.yaml, line 1, column 4 is not valid YAML (could not determine a constructor for the tag '!mine'); "
         "correct the line")),
        ("a: 2001-99-99\n", "params.yaml is not valid YAML (month must be in 1..12); correct the file"),
        ("a: &a [*a]\n",
         ("params.yaml, line 1, column 8 has more than 400,000 values, counting those that aliases repeat; "
         "write the values there")),
        ("a: " + "[" * 70,
         "params.yaml, line 1, column 67 has more than 64 lists and mappings inside each other; remove some of them"),
    ],
)  # fmt: skip
def test_yaml_errors_name_the_place(content, expected):
    with pytest.raises(RetrainError) as caught:
        yaml_files.parsed(content.encode(), "params.yaml")
    assert str(caught.value) == expected


def test_anchors_and_merge_keys_work():
    content = b"base: &base {epochs: 3, seed: 1}\nmine: {<<: *base, seed: 2}\n"
    assert yaml_files.parsed(content, "params.yaml")["mine"] == {"epochs": 3, "seed": 2}


def test_aliases_of_aliases_are_counted():
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    bomb = "\n".join(["a0: &a0 [1, 2, 3]", *levels]).encode()
    with pytest.raises(RetrainError, match="has more than 400,000 values"):
        yaml_files.parsed(bomb, "params.yaml")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RetrainError) as caught:
        params.datasets(tmp_path)
    assert str(caught.value) == f"{tmp_path}/params.yaml does not exist; run this inside the repository"


def models(section: type[schema.Section]) -> Iterator[type[schema.Section]]:
    """A section's model and those of its parts."""
    yield section
    for field in section.model_fields.values():
        for part in schema.section_models(field.annotation):
            yield from models(part)


def test_few_parameters_are_optional():
    files = sources.load({"source": "files"}, "d").parameters
    optional = [
        f"{model.__name__}.{name}"
        for section in (files, splitting.Split, setup.Train, optimizers.Parameters, Evaluate, Plot)
        for model in models(section)
        for name, field in model.model_fields.items()
        if not field.is_required()
    ]
    source = [
        "categories",
        "columns",
        "dates",
        "format",
        "group",
        "header",
        "incomplete",
        "inputs",
        "leave_out",
        "numbers",
    ]
    source += ["rename", "repeats", "test", "texts", "time"]
    written = [
        "dates",
        "dates_in",
        "decimal",
        "encoding",
        "missing",
        "missing_in",
        "quote",
        "separator",
        "skip",
        "thousands",
        "units",
        "units_in",
    ]
    expected = [*(f"Parameters.{name}" for name in source), *(f"Format.{name}" for name in written)]
    assert sorted(optional) == sorted([*expected, "Split.folds", "Split.test", "Split.train_share", "Split.validation"])


def test_sections_are_frozen():
    loop = schema.check(LOOP, setup.Loop, "loop")
    with pytest.raises(ValidationError, match="frozen"):
        loop.epochs = 2
    assert loop.epochs == 1


def test_lists_become_tuples():
    prepare = params.dataset_block(REPOSITORY, "ag_news")["prepare"]
    parameters = schema.check(prepare, sources.load({"source": "files"}, "d").parameters, "prepare")
    assert parameters.columns == ("topic", "title", "description")
    assert parameters.inputs == ("title", "description")


@unhurried
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(
        ["network", "optimizer", "schedule", "loss", "loop", "calibration", "device", "threads", "saved_dtype"]
    ),
)
def test_any_value_is_taken_or_named(value: Any, parameter):
    section = {**COMMITTED["diabetes"]["train"], parameter: value}
    for model, parameters in (
        (setup.Train, section),
        (optimizers.Parameters, {name: section[name] for name in ("optimizer", "schedule")}),
    ):
        try:
            schema.check(parameters, model, "train")
        except RetrainError as error:
            assert error.where.startswith("train")  # noqa: PT017 (whether it is raised depends on the value)


@pytest.mark.parametrize(
    ("name", "known", "answer"),
    [
        ("sdg", ["sgd", "adamw"], "did you mean 'sgd'?"),
        ("SGD", ["sgd", "adamw"], "did you mean 'sgd'?"),
        ("zzz", ["sgd", "adamw"], "known are: adamw, sgd"),
    ],
)
def test_the_nearest_name_is_offered(name, known, answer):
    assert schema.nearest(name, known) == answer


def backwards_parameters(value: Any) -> Any:
    """The same parameters, the last of each section first."""
    if not isinstance(value, dict):
        return value
    return {name: backwards_parameters(child) for name, child in reversed(value.items())}


@pytest.mark.parametrize("dataset", COMMITTED)
def test_the_order_of_parameters_changes_nothing(dataset):
    block = params.dataset_block(REPOSITORY, dataset)
    models = {
        "prepare": sources.load(block["prepare"], dataset).parameters,
        "split": splitting.Split,
        "train": setup.Train,
        "evaluate": Evaluate,
        "plot": Plot,
    }
    for stage, model in models.items():
        as_written, backwards = (
            schema.check(parameters, model, stage) for parameters in (block[stage], backwards_parameters(block[stage]))
        )
        assert list(backwards_parameters(block[stage])) != list(block[stage]) or len(block[stage]) == 1
        assert backwards.model_dump_json() == as_written.model_dump_json()


def test_number_of_a_format_is_named():
    class Versioned(schema.Section):
        format: Literal[1]

    with pytest.raises(RetrainError) as error:
        schema.check({"format": 2}, Versioned, "file")
    assert str(error.value) == "file.format: unknown '2'; known are: 1"


def test_defaults_must_be_a_mapping(tmp_path):
    write_yaml(tmp_path / "params.yaml", {"defaults": ["train"], "datasets": {"mine": dict.fromkeys(params.STAGES)}})
    with pytest.raises(RetrainError, match=r"^params.yaml: defaults is not a mapping; write a section as in the block"):
        params.dataset_block(tmp_path, "mine")


def test_changed_values_are_not_read_again(tmp_path):
    (tmp_path / "params.yaml").write_text("datasets: {a: {list: [1]}}")
    params.content_of(tmp_path)["datasets"]["a"]["list"].append(2)
    assert params.content_of(tmp_path) == {"datasets": {"a": {"list": [1]}}}


def test_null_is_a_word_in_our_files_and_others_write_it_as_before():
    def written(yaml: YAML) -> str:
        text = io.StringIO()
        yaml.dump({"patience": None}, text)
        return text.getvalue()

    assert written(yaml_files.round_trip()) == "patience: null\n"
    assert written(YAML()) == "patience:\n"
