"""What a stage declares, beside what it reads: the findings of `retrain audit` and the lines that mend dvc.yaml."""

from itertools import chain, combinations

from retrain.pipeline import dependencies
from retrain.pipeline.dvc_yaml import EVERYTHING, Stage

import pytest

BLOCK = {
    "prepare": {"source": "files"},
    "split": {"inputs": "text", "target": "label"},
    "train": {"network": {"name": "mlp", "hidden": 5}, "loop": {"epochs": 3}},
}
PARAMETERS = {"datasets": {"news": BLOCK, "other": {"prepare": {}}}, "more": 1}


def stage(*dependencies: str, name: str = "split@news", sections: tuple[str, ...] = ()) -> Stage:
    """A stage that declares these dependencies and sections."""
    return Stage(name, "true", dependencies, sections, {}, ("data/news/splits",), ())


def test_what_is_read_and_not_declared_is_a_line_to_add():
    read = frozenset(
        {"src", "src/split.py", "src/retrain/cli.py", "src/retrain/data/tables.py", "params.yaml", "notes.txt"}
    )
    found = dependencies.undeclared_files(stage("src/split.py"), read, [], BLOCK)
    assert "\n".join(map(str, found)).splitlines() == [
        "split@news reads notes.txt and does not declare it; add to the deps of 'split' in dvc.yaml:",
        "        - notes.txt",
        "split@news reads src/retrain/data/tables.py and does not declare it; add to the deps of 'split' in dvc.yaml:",
        "        - src/retrain/data/tables.py",
    ]


def test_what_is_declared_and_not_read_is_a_line_to_take_out():
    declared = stage(
        "requirements.lock", "src/split.py", "src/retrain/training/loop.py", "data/news/prepared", "data/raw/news"
    )
    read = frozenset({"src/split.py", "data/news/prepared/rows.parquet"})
    found = dependencies.unused_files(declared, read, BLOCK)
    assert [finding.lines for finding in found] == [("src/retrain/training/loop.py",), ("data/raw/${key}",)]
    assert [finding.fact for finding in found] == [
        "declares src/retrain/training/loop.py and does not read it", "declares data/raw/news and does not read it",
    ]  # fmt: skip


def test_only_prepare_may_depend_on_a_data_card_that_it_does_not_read():
    assert dependencies.unused_files(stage("data/raw/news", name="prepare@news"), frozenset(), BLOCK) == []
    assert len(dependencies.unused_files(stage("data/raw/news", name="plot@news"), frozenset(), BLOCK)) == 1


def test_a_folder_is_declared_with_all_that_is_in_it_and_its_own_outputs_a_stage_may_read():
    read = frozenset({"data/news/prepared", "data/news/prepared/deep/file", "data/news/splits/train.parquet"})
    assert dependencies.undeclared_files(stage("data/news/prepared"), read, [], BLOCK) == []
    beside = frozenset({"data/news/prepared2/file"})
    assert len(dependencies.undeclared_files(stage("data/news/prepared"), beside, [], BLOCK)) == 1


def test_what_another_stage_made_is_declared_by_its_output():
    read = frozenset({"data/news/prepared/rows.parquet", "data/news/prepared/prepared.json"})
    (finding,) = dependencies.undeclared_files(stage(), read, ["data/news/prepared"], BLOCK)
    assert finding.lines == ("data/${key}/prepared",)


def test_what_is_written_beside_the_outputs_is_a_line_to_add():
    (finding,) = dependencies.undeclared_outputs(
        stage(), frozenset({"data/news/splits/a", "reports/news/notes"}), BLOCK
    )
    assert finding.lines == ("reports/${key}/notes",)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("data/raw/news/news.csv", "data/raw/${key}/news.csv"),
        ("src/retrain/data/sources/files.py", "src/retrain/data/sources/${item.prepare.source}.py"),
        ("src/retrain/data/sources/__init__.py", "src/retrain/data/sources/__init__.py"),
        ("src/retrain/models/networks/mlp.py", "src/retrain/models/networks/${item.train.network.name}.py"),
        ("src/retrain/models/networks/ngram_bag.py", "src/retrain/models/networks/ngram_bag.py"),
    ],
)
def test_a_line_is_right_for_every_dataset(path, line):
    assert dependencies.templated(path, stage(), BLOCK) == line
    assert dependencies.templated(path, stage(name="report"), {}) == path


def test_the_keys_that_hold_nothing_of_what_is_declared():
    def undeclared(*declared: str) -> list[str]:
        return list(dependencies.undeclared_keys(PARAMETERS, declared))

    assert undeclared() == ["datasets", "more"]
    assert undeclared("datasets.news.train") == [
        "datasets.news.prepare", "datasets.news.split", "datasets.other", "more",
    ]  # fmt: skip
    assert undeclared("datasets.news.train.loop") == [
        "datasets.news.prepare", "datasets.news.split", "datasets.news.train.network", "datasets.other", "more",
    ]  # fmt: skip
    assert undeclared("datasets") == ["more"]
    assert undeclared(EVERYTHING) == []


def test_hidden_keys_lose_their_values_and_all_others_stay_in_their_order():
    text = "b: {z: 1, a: 1e-3}\na: null\n"
    assert dependencies.with_hidden(text, []) == text
    hidden = dependencies.load(dependencies.with_hidden(text, ["a"]))
    assert list(hidden["b"].items()) == [("z", 1), ("a", 0.001)]
    assert list(hidden) == ["b", "a"]
    assert hidden["a"] == dependencies.HIDDEN
    assert dependencies.load(dependencies.with_hidden(text, ["b.z"])) == {
        "b": {"z": dependencies.HIDDEN, "a": 0.001},
        "a": None,
    }
    assert dependencies.load(dependencies.with_hidden(text, [EVERYTHING])) == {
        "b": dependencies.HIDDEN,
        "a": dependencies.HIDDEN,
    }


def subsets(keys: list[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(keys, size) for size in range(len(keys) + 1)))


def test_the_sections_that_are_read_are_told_from_those_that_are_declared_whatever_both_are():
    keys = ["a", "b", "c", "d"]
    parameters = dict.fromkeys(keys, 1)
    for declared in subsets(keys):
        for read in subsets(keys):
            found = dependencies.sections(
                stage(sections=declared), parameters, lambda hidden, read=read: not set(hidden) & set(read)
            )
            unused = [("take", key) for key in declared if key not in read]
            undeclared = [("add", key) for key in keys if key in read and key not in declared]
            assert [(finding.hint.split()[0], *finding.lines) for finding in found] == unused + undeclared


def test_bytes_that_differ_although_nothing_is_hidden_are_said_without_a_line():
    (finding,) = dependencies.sections(stage(), {"a": 1}, lambda hidden: False)
    assert finding.fact == "gives other bytes where only what it was seen to read is there"
    assert finding.lines == ()
