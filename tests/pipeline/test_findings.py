"""The findings of `retrain audit`: sentences, and lines for dvc.yaml."""

from itertools import chain, combinations

from retrain.pipeline import dependencies
from retrain.pipeline.dvc_yaml import EVERYTHING, Stage

import pytest

BLOCK = {
    "prepare": {"source": "files"},
    "split": {"encoder": {"name": "text"}, "task": "classification"},
    "train": {"network": {"name": "mlp", "hidden": 5}, "loop": {"epochs": 3}},
}
PARAMETERS = {"datasets": {"news": BLOCK, "other": {"prepare": {}}}, "more": 1}


def stage(*dependencies: str, name: str = "split@news", sections: tuple[str, ...] = ()) -> Stage:
    """A stage that declares these dependencies and sections."""
    return Stage(name, "true", dependencies, sections, {}, ("data/news/splits",), ())


def test_undeclared_file_is_a_line_to_add():
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


def test_unused_file_is_a_line_to_remove():
    declared = stage(
        "requirements.lock", "src/split.py", "src/retrain/training/loop.py", "data/news/prepared", "data/raw/news"
    )
    read = frozenset({"src/split.py", "data/news/prepared/rows.parquet"})
    found = dependencies.unused_files(declared, read, BLOCK)
    assert [finding.lines for finding in found] == [("src/retrain/training/loop.py",), ("data/raw/${key}",)]
    assert [finding.fact for finding in found] == [
        "declares src/retrain/training/loop.py and does not read it", "declares data/raw/news and does not read it",
    ]  # fmt: skip


def test_only_prepare_declares_the_data_card():
    assert dependencies.unused_files(stage("data/raw/news", name="prepare@news"), frozenset(), BLOCK) == []
    assert len(dependencies.unused_files(stage("data/raw/news", name="plot@news"), frozenset(), BLOCK)) == 1


def test_folder_declares_its_files():
    read = frozenset({"data/news/prepared", "data/news/prepared/deep/file", "data/news/splits/train.parquet"})
    assert dependencies.undeclared_files(stage("data/news/prepared"), read, [], BLOCK) == []
    beside = frozenset({"data/news/prepared2/file"})
    assert len(dependencies.undeclared_files(stage("data/news/prepared"), beside, [], BLOCK)) == 1


def test_output_declares_its_files():
    read = frozenset({"data/news/prepared/rows.parquet", "data/news/prepared/prepared.json"})
    (finding,) = dependencies.undeclared_files(stage(), read, ["data/news/prepared"], BLOCK)
    assert finding.lines == ("data/${key}/prepared",)


def test_undeclared_output_is_a_line_to_add():
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
def test_lines_are_templates(path, line):
    assert dependencies.templated(path, stage(), BLOCK) == line
    assert dependencies.templated(path, stage(name="report"), {}) == path


def test_undeclared_keys():
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


def test_hidden_keys_lose_their_values():
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


def test_every_wrong_section_is_found():
    keys = ["a", "b", "c", "d"]
    parameters = dict.fromkeys(keys, 1)
    for declared in subsets(keys):
        for read in subsets(keys):
            found = dependencies.sections(
                stage(sections=declared), parameters, lambda hidden, read=read: not set(hidden) & set(read)
            )
            unused = [("remove", key) for key in declared if key not in read]
            undeclared = [("add", key) for key in keys if key in read and key not in declared]
            assert [(finding.hint.split()[0], *finding.lines) for finding in found] == unused + undeclared


def test_different_bytes_without_a_line():
    (finding,) = dependencies.sections(stage(), {"a": 1}, lambda hidden: False)
    assert finding.fact == "writes different bytes when only the files that it was seen to read exist"
    assert finding.lines == ()
