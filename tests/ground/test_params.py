"""params.yaml is read strictly, into values that nothing can change."""

from collections.abc import Iterator
from typing import Any

import evaluate
import plot
from retrain import params, schema
from retrain.data import encoders, sources, splitting
from retrain.errors import RetrainError
from retrain.models import networks
from retrain.training import optimizers, setup

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML
from support.project import REPOSITORY

unhurried = settings(deadline=None, max_examples=200)
COMMITTED = params.datasets(REPOSITORY)
LOOP = {"epochs": 1, "batch_size": 1, "learning_rate": 0.5, "clip_norm": 1.0, "patience": 1, "seed": 0}


def loop_of(yaml: str) -> setup.Loop:
    """The loop's section with these lines of YAML in it."""
    return schema.check({**LOOP, **YAML(typ="safe").load(yaml)}, setup.Loop, "loop")


@pytest.mark.parametrize("dataset", COMMITTED)
def test_every_section_of_the_committed_params_is_valid(dataset):
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
    assert schema.check(block["evaluate"], evaluate.Evaluate, "evaluate")
    assert schema.check(block["plot"], plot.Plot, "plot")


def test_the_committed_params_hold_every_dataset_that_the_project_comes_with():
    assert list(COMMITTED) == ["ag_news", "docstrings", "diabetes"]


@pytest.mark.parametrize("dataset", COMMITTED)
def test_the_committed_params_train_on_the_cpu_because_a_device_changes_bytes(dataset):
    assert COMMITTED[dataset]["train"]["device"] == "cpu"


@pytest.mark.parametrize(("spelt", "number"), [("1e-3", 0.001), ("5e-1", 0.5), ("1.", 1.0), ("2", 2.0), (".5", 0.5)])
def test_a_number_may_be_spelt_in_every_way_that_dvc_reads(spelt, number):
    assert loop_of(f"learning_rate: {spelt}").learning_rate == number


@pytest.mark.parametrize(
    "line",
    [
        "epochs: true", "epochs: 1.0", "epochs: '1'", "epochs: 0", "epochs: -1", "epochs: null", "epochs: [1]",
        "learning_rate: true", "learning_rate: '0.1'", "learning_rate: .inf", "learning_rate: .nan", "learning_rate: 0",
        "seed: -1", "seed: 0.5", "seed: 4294967296",
    ],
)  # fmt: skip
def test_a_value_of_another_type_or_out_of_range_is_refused_and_never_converted(line):
    with pytest.raises(RetrainError, match=rf"^loop.{line.split(':')[0]}: .* will not do; it should be "):
        loop_of(line)


def test_an_unknown_knob_is_named_before_the_one_that_it_leaves_missing():
    misspelt = {("epoch" if name == "epochs" else name): value for name, value in LOOP.items()}
    with pytest.raises(RetrainError, match=r"^loop: unknown parameter 'epoch'; did you mean 'epochs'\?$"):
        schema.check(misspelt, setup.Loop, "loop")


@unhurried
@given(st.sampled_from(sorted(LOOP)))
def test_no_knob_has_a_default(name):
    rest = {other: value for other, value in LOOP.items() if other != name}
    with pytest.raises(RetrainError, match=rf"^loop.{name}: is missing; add it: parameters have no defaults$"):
        schema.check(rest, setup.Loop, "loop")


def models(section: type[schema.Section]) -> Iterator[type[schema.Section]]:
    """A section's model and those of its parts."""
    yield section
    for field in section.model_fields.values():
        for part in schema.section_models(field.annotation):
            yield from models(part)


def test_only_the_knobs_that_depend_on_an_official_test_file_may_be_absent():
    files = sources.load({"source": "files"}, "d").parameters
    optional = [
        f"{model.__name__}.{name}"
        for section in (files, splitting.Split, setup.Train, optimizers.Parameters, evaluate.Evaluate, plot.Plot)
        for model in models(section)
        for name, field in model.model_fields.items()
        if not field.is_required()
    ]
    assert optional == ["Parameters.test", "Split.test"]


def test_a_section_can_not_be_changed():
    loop = schema.check(LOOP, setup.Loop, "loop")
    with pytest.raises(ValidationError, match="frozen"):
        loop.epochs = 2
    assert loop.epochs == 1


def test_lists_become_tuples_which_can_not_be_changed():
    parameters = schema.check(
        COMMITTED["ag_news"]["prepare"], sources.load({"source": "files"}, "d").parameters, "prepare"
    )
    assert parameters.columns == ("topic", "title", "description")
    assert parameters.inputs == ("title", "description")


@unhurried
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(["network", "optimizer", "schedule", "loss", "loop", "device", "threads", "saved_dtype"]),
)
def test_whatever_stands_in_a_knobs_place_is_taken_or_refused_in_one_line(value: Any, parameter):
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
        ("zzz", ["sgd", "adamw"], "known are: adamw, sgd"),
    ],
)
def test_the_nearest_name_is_offered_or_all_of_them_where_none_is_near(name, known, answer):
    assert schema.nearest(name, known) == answer


def reversed_knobs(value: Any) -> Any:
    """The same parameters, the last of each section first."""
    if not isinstance(value, dict):
        return value
    return {name: reversed_knobs(child) for name, child in reversed(value.items())}


@pytest.mark.parametrize("dataset", COMMITTED)
def test_the_order_of_knobs_changes_nothing_because_dvc_does_not_see_it(dataset):
    block = params.dataset_block(REPOSITORY, dataset)
    models = {
        "prepare": sources.load(block["prepare"], dataset).parameters,
        "split": splitting.Split,
        "train": setup.Train,
        "evaluate": evaluate.Evaluate,
        "plot": plot.Plot,
    }
    for stage, model in models.items():
        as_written, backwards = (
            schema.check(parameters, model, stage) for parameters in (block[stage], reversed_knobs(block[stage]))
        )
        assert list(reversed_knobs(block[stage])) != list(block[stage]) or len(block[stage]) == 1
        assert backwards.model_dump_json() == as_written.model_dump_json()
