"""`retrain add` turns a file into a dataset, `check` checks it, and `remove` takes it away again."""

import csv
import gzip
import json
import random
import unicodedata
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path

import retrain

import pandas as pd
import pytest
from dvc.repo import Repo
from support.project import Finished, Project, copy_of_repository
from support.servers import sending, serving


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the repository, for all tests of this file."""
    return copy_of_repository(tmp_path_factory.mktemp("add") / "project")


def times_of(project: Project) -> dict[Path, int]:
    """When the files and folders that `retrain add` writes, or writes into, were changed."""
    folders = (project.folder / name for name in (".", "data", "data/raw", "reports", "models"))
    return {path: path.stat().st_mtime_ns for folder in folders if folder.is_dir() for path in folder.iterdir()}


@pytest.fixture
def project(repository: Project) -> Iterator[Project]:
    """The copy as it was committed."""
    before = times_of(repository)
    yield repository
    if times_of(repository) != before:
        repository.run("git", "reset", "-q", "--hard")
        repository.run("git", "clean", "-fdxq", "data", "reports", "models")


def homes(count: int = 200, seed: int = 1) -> list[dict[str, object]]:
    """Homes with a number, a code with zeros, a category, a date, a text and a price, some of them missing."""
    draw = random.Random(seed)
    towns = {"Alba": 100, "Brig": 50, "Chur": 10}
    rows = []
    for number in range(count):
        area, town = draw.randint(40, 200), draw.choice(list(towns))
        garden = draw.random() < 0.5
        rows.append(
            {
                "id": 1000 + number,
                "area": area if draw.random() < 0.9 else "",
                "zip": f"0{draw.randint(100, 120)}",
                "town": town,
                "sold": f"{draw.randint(1, 28)}/{draw.randint(1, 12)}/2024",
                "remarks": f"{draw.choice(['a quiet', 'a bright', 'an old'])} place with {'a garden' if garden else 'no view'} {number % 30}",
                "country": "CH",
                "price": area * 10 + towns[town] + 200 * garden,
            }
        )
    return rows


def write(path: Path, rows: list[dict[str, object]], separator: str = ",", decimal: str = ".") -> Path:
    """Write rows as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(
            {k: str(v).replace(".", decimal) if isinstance(v, float) else v for k, v in row.items()} for row in rows
        )
    return path


def added(project: Project, *arguments: str, stdin: str | None = None) -> str:
    """What `retrain add` prints; it must succeed."""
    ended = (
        project.retrain_here("add", *arguments)
        if stdin is None
        else project.run("retrain", "add", *arguments, stdin=stdin)
    )
    code = ended.exit_code if stdin is None else ended.returncode
    assert code == 0, ended.output if stdin is None else ended.said
    return ended.stdout


def block(project: Project, name: str) -> dict:
    """A dataset's block as it is written."""
    return project.params()["datasets"][name]


def changes(project: Project) -> list[str]:
    """The files that differ from the last commit."""
    return project.run("git", "status", "--porcelain", "-uall").stdout.splitlines()


def test_a_table_becomes_a_dataset(project, tmp_path):
    said = added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    prepare = block(project, "homes")["prepare"]
    kinds = {kind: prepare[kind] for kind in ("numbers", "categories", "dates", "texts")}
    assert kinds == {"numbers": ["area"], "categories": ["zip", "town"], "dates": ["sold"], "texts": ["remarks"]}
    assert prepare["format"] == {"dates": ["%d/%m/%Y"]}
    assert block(project, "homes")["split"]["task"] == "regression"
    assert "left out: id (row numbers)" in said
    assert "left out: country (always 'CH')" in said
    assert said.splitlines()[-1] == "Next: make repro DATASET=homes"
    assert (project.folder / "data/raw/homes/homes.csv").read_bytes() == (tmp_path / "homes.csv").read_bytes()
    facts = json.loads((project.folder / "reports/homes/data.json").read_text())
    assert (facts["rows"], facts["predict"], facts["columns"][0]["name"]) == (200, "number", "price")
    assert "| `area` | numbers |" in (project.folder / "data/raw/homes/README.md").read_text()


def test_comments_and_order_stay(project, tmp_path):
    before = {name: (project.folder / name).read_text() for name in ("params.yaml", "dvc.yaml")}
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    for name, text in before.items():
        after = (project.folder / name).read_text().splitlines()
        assert [line for line in text.splitlines() if line not in after] == []
    assert (project.folder / "params.yaml").read_text().startswith(before["params.yaml"].rstrip("\n"))


def test_an_added_dataset_runs(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    project.set("homes.train.loop.epochs", 3)
    assert project.retrain_here("check").exit_code == 0
    project.run_stages_here("homes", "prepare", "split", "train", "evaluate", "plot", RETRAIN_TRACKING="off")
    assert project.retrain_here("status", "homes").exit_code == 0
    new = write(tmp_path / "new.csv", [{**row, "town": "Zug", "extra": 1} for row in homes(5, seed=2)])
    answers = project.retrain_here("predict", "homes", "--file", str(new))
    assert len(answers.stdout.splitlines()) == 5, answers.output
    unknown = "column 'town': the model does not know the values of 5 of 5 rows, such as 'Zug'; they may be new, rare or misspelt"
    assert answers.stderr == f"Warning: {new}, {unknown}\n"
    shown = project.run("dvc", "plots", "show", "--json")
    assert "homes loss" in shown.stdout, shown.said


def test_a_survey_is_read_alike_everywhere(project, tmp_path):
    days = pd.date_range("2021-01-05", periods=100, freq="4D")
    rows = [f"{day:%y/%m/%d},{n % 5},{n % 7}" for n, day in enumerate(days)]
    path = tmp_path / "survey.csv"
    path.write_text("\n".join(['"When?","How satisfied?', '(1 = low)",score', *rows]))
    added(project, "survey", str(path), "--target", "score", "--predict", "number")
    prepare = block(project, "survey")["prepare"]
    assert (prepare["dates"], prepare["numbers"]) == (["When?"], ["How satisfied? (1 = low)"])
    project.set("survey.train.loop.epochs", 2)
    project.stages("prepare split train", "survey")
    stored = pd.read_parquet(project.folder / "data/survey/prepared/rows.parquet")
    assert stored["When?"].tolist() == days.tolist()
    ended = project.retrain_here("predict", "survey", "--file", str(path))
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    model = retrain.load(project.folder / "models/survey")
    assert model.predict(pd.read_csv(path)) == answers
    assert model.predict(stored) == answers


def test_forms_of_unicode_are_read_alike_everywhere(project, tmp_path):
    towns, notes, boxes = (
        ["Zürich", "Genève", "Bern"],
        ["très beau", "naïf", "坏 的"],
        [{"é": 1, "f": [2]}, {"é": 2, "f": []}],
    )
    rows = [
        {"größe m": n % 7, "town": towns[n % 3], "note": f"{notes[n // 3 % 3]} {n % 11} x {n}", "box": boxes[n % 2]}
        for n in range(120)
    ]
    lines = [json.dumps({**row, "prix": 10 * (n % 3) + n // 3 % 3 + 5 * (n % 2) + n % 7}) for n, row in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    options = [
        "--target",
        "prix",
        "--predict",
        "number",
        "--categories",
        "box",
        "--text",
        "note",
        "--numbers",
        "größe\u00a0m",
    ]
    added(project, "forms", str(tmp_path / "rows.jsonl"), *options)
    assert block(project, "forms")["prepare"]["numbers"] == ["größe m"]
    project.set("forms.train.loop.epochs", 6)
    project.stages("prepare split train", "forms")
    model = retrain.load(project.folder / "models/forms")
    expected = model.predict(rows[:12])
    assert len({answer["number"] for answer in expected}) == 12

    def changed(value: object) -> object:
        if isinstance(value, dict):
            return {changed(key): changed(own) for key, own in reversed(value.items())}
        return unicodedata.normalize("NFD", f"\u200e{value}\u200b") if isinstance(value, str) else value

    others = [
        {**changed(row), changed("größe\u00a0m"): row["größe m"], "town": changed(row["town"])} for row in rows[:12]
    ]
    others = [
        {name.strip("\u200e\u200b"): value for name, value in row.items() if name != changed("größe m")}
        for row in others
    ]
    assert model.predict(others) == model.predict(pd.DataFrame(others)) == expected
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, others)))
    flat = [
        {**row, "box": json.dumps(box, ensure_ascii=False, sort_keys=True, separators=(",", ":"))}
        for row, box in zip(others, boxes * 6, strict=True)
    ]
    pd.DataFrame(flat).to_csv(tmp_path / "new.csv", index=False)
    for file in ("new.jsonl", "new.csv"):
        ended = project.retrain_here("predict", "forms", "--file", str(tmp_path / file))
        assert ([json.loads(line) for line in ended.stdout.splitlines()], ended.stderr) == (expected, "")


def test_a_question_as_target_stops_no_dvc_command(project, tmp_path):
    rows = [{**row, "How happy are you with ${e://Field/product}?": row.pop("price")} for row in homes()]
    added(
        project,
        "piped",
        str(write(tmp_path / "homes.csv", rows)),
        "--target",
        "How happy are you with ${e://Field/product}?",
    )
    assert "Field/product" in (project.folder / "dvc.yaml").read_text()
    with (
        chdir(project.folder),
        Repo() as repo,
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),
    ):
        assert [stage.addressing for stage in repo.reproduce("prepare@piped", dry=True)] == ["prepare@piped"]


def test_others_are_columns_of_the_train_file(project, tmp_path):
    draw = random.Random(3)
    rows = [{**{f"p{j}": draw.random() for j in range(30)}, "label": "ab"[i % 2]} for i in range(120)]
    test = write(tmp_path / "test.csv", [{**row, "source": "kaggle"} for row in rows[:30]])
    added(project, "wide", str(write(tmp_path / "wide.csv", rows)), "--target", "label", "--test-file", str(test))
    assert block(project, "wide")["prepare"]["numbers"] == "others"
    project.stages("prepare", "wide")
    assert pd.read_parquet(project.folder / "data/wide/prepared/test.parquet").shape == (30, 31)


X_OF_YEARS = [n * 37 % 101 / 7 for n in range(250)]
PARTS = {"size": [n / 8 for n in range(80)], "made of": ["oak", "steel"] * 40, "y": [*range(400, 480)]}


def test_the_separator_of_a_test_file_may_differ(project, tmp_path):
    train = table(tmp_path / "parts.csv", PARTS, separator=";")
    test = table(tmp_path / "test.csv", {name: PARTS[name][:30] for name in reversed(PARTS)})
    added(project, "parts", str(train), "--target", "y", "--test-file", str(test))
    project.stages("prepare", "parts")
    rows = pd.read_parquet(project.folder / "data/parts/prepared/test.parquet")
    assert (rows["size"].tolist(), rows["y"].tolist()) == (PARTS["size"][:30], PARTS["y"][:30])


@pytest.mark.parametrize("options", [(), ("--time", "year")])
def test_later_numbers_may_grow(project, tmp_path, options):
    people = {"year": [*range(1700, 1900)], "people": [100 + n * n for n in range(200)], "y": X_OF_YEARS[:200]}
    later = {"year": [*range(1900, 1950)], "people": [100 + n * n for n in range(200, 250)], "y": X_OF_YEARS[200:]}
    train, test = table(tmp_path / "old.csv", people), table(tmp_path / "new.csv", later)
    said = added(project, "people", str(train), "--target", "y", "--test-file", str(test), *options)
    line = "50 of 50 values of 'people' in new.csv, such as 40100, are outside most of those in old.csv (103.97 to 3891"
    assert line in said
    assert "check the unit and the decimal mark; or it may grow with time" in said


@pytest.mark.parametrize(
    ("changed", "target", "expected"),
    [
        ({"size": [n * 125 + 100 for n in range(80)]}, "y", "! 80 of 80 values of 'size' in test.csv, such as 100, are outside most of those in parts.csv (0.09875 to 9.77625): check the unit"),
        ({"made of": ["Oak", "Steel"] * 40}, "y", "! test.csv and parts.csv have no value of 'made of' in common, such as 'Oak' and 'oak': check the spelling"),
        ({"made of": ["Oak", "steel"] * 40}, "made of", "! 40 rows of test.csv have a class that no row of parts.csv has, such as 'Oak': write the classes of both files in one way (parts.csv has 'oak' and 'steel')"),
        ({"made of": ["Oak"] * 80}, "made of", "Error: test.csv has 'Oak' in 'made of', which no row of parts.csv has; write the classes of both files in one way: parts.csv has 'oak' and 'steel'; if the answers are not known"),
        ({"made of": ["oak"] * 80}, "made of", "! all 80 rows of test.csv have the answer 'oak': if the answers are not known, leave out --test-file"),
        ({"size": None, "made of": None}, "y", "Error: test.csv has answers, but no column of parts.csv to predict them from; "),
        ({"made of": [""] * 80}, "made of", "Error: test.csv has no value in 'made of'; enter the answers"),
        ({"size": [f'"{n},5"' for n in range(80)]}, "y", "Error: test.csv, line 2, column 'size' holds '0,5', which is not a number as in parts.csv; write each number in one way in both files"),
        ({"size": ["n.a.", *range(79)]}, "y", "Error: test.csv, line 2, column 'size' holds 'n.a.', which is not a number as in parts.csv; if it means a missing value, add --missing n.a."),
        ({"y": None}, "y", "Error: test.csv has no column 'y', but a test file needs the answers; add them, or use it after the training: retrain predict parts --file test.csv"),
        ({"y": [*range(400, 478), "", ""]}, "y", "! 2 rows of test.csv (2.5%) have no target and are left out"),
        ({"made of": ["oak", "steel"] * 39 + ["oak", "NA"]}, "made of", "! 1 row of test.csv has a class that no row of parts.csv has, such as 'NA': if 'NA' means that it is missing, add --missing NA; else write"),
        ({"size": PARTS["size"]}, "y", "Error: test.csv has the inputs of all 80 rows of parts.csv, so none is left to learn from; give another test file"),
        ({"size": [*PARTS["size"][:9], *(n / 8 + 0.06 for n in range(71))]}, "y", "! 9 of 80 rows of parts.csv have the inputs of a row of test.csv: the model does not learn from them"),
        ({"y": None, "Y": range(80)}, "y", "Error: test.csv has no column 'y'; did you mean 'Y'? Write it as in parts.csv"),
        (dict.fromkeys(PARTS) | {"0.5": [0.25] * 80, "oak": ["oak"] * 80, "400": range(80)}, "y", "Error: test.csv has no column of parts.csv; if its first line is a row, write the names above it: size,made of,y"),
        ({}, "y", ""),
    ],
)  # fmt: skip
def test_a_test_file_has_to_fit(project, tmp_path, changed, target, expected):
    others = PARTS | {"size": [n / 8 + 0.06 for n in range(80)]} | changed
    columns = {name: values for name, values in others.items() if values is not None}
    train, test = table(tmp_path / "parts.csv", PARTS), table(tmp_path / "test.csv", columns)
    ended = project.retrain_here("add", "parts", str(train), "--target", target, "--test-file", str(test), "--dry-run")
    said = [line.strip() for line in ended.output.splitlines() if "test.csv" in line and "location" not in line]
    assert [line.startswith(expected) for line in said] == [True] * bool(expected), ended.output


@pytest.mark.parametrize(("train", "test"), [("Z", ""), ("", "+02:00"), ("Z", "+02:00"), ("", "")])
def test_offsets_of_both_files_agree(project, tmp_path, train, test):
    times = pd.date_range("2024-01-01", periods=80, freq="7h").strftime("%Y-%m-%dT%H:%M")
    paths = [
        table(tmp_path / name, {"when": [f"{time}{offset}" for time in times], "y": range(start, start + 80)})
        for name, offset, start in (("old.csv", train, 0), ("new.csv", test, 100))
    ]
    options = ("--target", "y", "--test-file", str(paths[1]), "--dry-run")
    said = project.retrain_here("add", "times", str(paths[0]), *options).output
    files = "old.csv and none in new.csv" if train else "new.csv and none in old.csv"
    told = f"! times in 'when' have an offset from UTC in {files}, so these count as UTC: write the times of both files"
    assert (told in said) == ("offset" in said) == (bool(train) != bool(test)), said


@pytest.mark.parametrize(("train", "test"), [(["0", "1"], ["0.0", "1.0"]), (["0.0", "1.0"], ["0", "1.0"])])
def test_equal_numbers_are_one_class(project, tmp_path, train, test):
    paths = [
        table(tmp_path / f"{n}.csv", {"a": [n + i * 7 % 97 for i in range(40)], "y": own * 20})
        for n, own in ((1, train), (99, test))
    ]
    added(project, "same", str(paths[0]), "--target", "y", "--test-file", str(paths[1]))
    project.stages("prepare split", "same")
    assert split_of(project, "same", "y") == {"train": {*train}, "test": {*train}}


def test_codes_stay_different_classes(project, tmp_path):
    columns = {"a": [n * 7 % 97 for n in range(40)], "y": ["01", "02"] * 20}
    paths = [table(tmp_path / "train.csv", columns), table(tmp_path / "test.csv", {**columns, "y": ["1", "2"] * 20})]
    ended = project.retrain_here("add", "codes", str(paths[0]), "--target", "y", "--test-file", str(paths[1]))
    assert ended.stderr.startswith("Error: test.csv has '1' and '2' in 'y', which no row of train.csv has; ")


VISITS = {
    "who": [f"p{n // 4}" for n in range(40)],
    "day": [f"{n % 28 + 1}/3/2024" for n in range(40)],
    "a": [n * 7 % 97 for n in range(40)],
    "y": [n % 7 / 3 for n in range(40)],
}


@pytest.mark.parametrize(
    ("option", "changed", "expected"),
    [
        (["--group", "who"], {}, "! 10 of 10 values of 'who' in test.csv, such as 'p0', are also in train.csv: if new rows have other values, the test looks too good"),
        (["--group", "who"], {"who": [f"q{n}" for n in range(40)]}, ""),
        (["--time", "day"], {"day": ["27/3/2024"] * 3 + ["1/4/2024"] * 37}, "! 3 of 40 rows of test.csv are older than the newest row of train.csv: a test on the past"),
        (["--time", "day"], {"day": ["28/3/2024"] * 40}, ""),
    ],
)  # fmt: skip
def test_groups_and_times_of_both_files(project, tmp_path, option, changed, expected):
    paths = [
        table(tmp_path / "train.csv", VISITS),
        table(tmp_path / "test.csv", {**VISITS, "a": [n * 7 % 97 + 0.5 for n in range(40)], **changed}),
    ]
    said = added(project, "v", str(paths[0]), "--target", "y", "--test-file", str(paths[1]), *option, "--dry-run")
    odd = [line.strip() for line in said.splitlines() if "rows of test.csv" in line or "'who' in test.csv" in line]
    assert [line.startswith(expected) for line in odd] == [True] * bool(expected), said
    assert ("stay together; the test file keeps its rows" in said) == ("--group" in option)


def test_remove_undoes_add(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    added(project, "other", str(write(tmp_path / "other.csv", homes(seed=3))), "--target", "town")
    for name in ("homes", "other"):
        ended = project.retrain_here("remove", name)
        assert ended.exit_code == 0, ended.output
    assert changes(project) == []
    assert not (project.folder / "data/raw/homes").exists()


@pytest.mark.parametrize("empty", ["", "datasets:\n", "datasets: {}  # none yet\n"])
def test_the_first_dataset_is_added(project, tmp_path, empty):
    parameters, pipeline = project.folder / "params.yaml", project.folder / "dvc.yaml"
    defaults = parameters.read_text().partition("datasets:\n")[0]
    stages = pipeline.read_text().partition("plots:\n")[0]
    parameters.write_text(defaults + empty)
    pipeline.write_text(stages + ("plots: []\nartifacts: {}\n" if empty else ""))
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    assert parameters.read_text().startswith(defaults)
    checked = project.retrain_here("check")
    assert (checked.exit_code, checked.stdout) == (0, "homes: ok\n")


def at_once(project: Project, *commands: tuple[str, ...]) -> list[Finished]:
    """Run some `retrain` commands at the same time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda command: project.run("retrain", *command), commands))


def test_datasets_added_at_once_are_all_kept(project, tmp_path):
    path, names = write(tmp_path / "homes.csv", homes(40)), ["first", "second"]
    ended = at_once(project, *(("add", name, str(path), "--target", "price") for name in [*names, "second"]))
    assert sorted(one.returncode for one in ended) == [0, 0, 1], ended
    assert "Error: dataset 'second': exists in params.yaml" in "".join(one.stderr for one in ended)
    assert project.retrain_here("check", *names).exit_code == 0
    ended = at_once(project, *(("remove", name) for name in names))
    assert [one.returncode for one in ended] == [0, 0], ended
    assert changes(project) == []


def test_remove_keeps_what_dvc_tracks(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    project.track("data/raw/homes/homes.csv")
    said = project.retrain_here("remove", "homes").stdout
    assert (
        "\nkept data/raw/homes/homes.csv, which DVC tracks; to delete it: dvc remove --outs data/raw/homes/homes.csv.dvc\n"
        in said
    )
    assert (project.folder / "data/raw/homes/homes.csv").exists()
    project.dvc("remove", "-q", "--outs", "data/raw/homes/homes.csv.dvc")
    assert changes(project) == []


def test_remove_keeps_what_was_was_written_since(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    card = project.folder / "data/raw/homes/README.md"
    card.write_text("mine")
    ended = project.retrain_here("remove", "homes")
    assert "kept data/raw/homes/README.md, which has changed" in ended.stdout
    assert card.read_text() == "mine"
    assert project.retrain_here("remove", "diabetes").stderr.startswith(
        "Error: dataset 'diabetes' has no reports/diabetes/data.json, in which"
    )
    assert "diabetes" in project.params()["datasets"]


def test_remove_says_what_it_misses(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    (project.folder / "reports/homes/data.json").unlink()
    said = project.retrain_here("remove", "homes").stderr
    assert said.startswith(
        "Error: dataset 'homes' has no reports/homes/data.json, in which 'retrain add' lists what it"
    )
    assert "run: git checkout reports/homes/data.json; else remove the block" in said


def test_existing_files_are_not_replaced(project, tmp_path):
    raw = project.folder / "data/raw/homes"
    raw.mkdir()
    (raw / "README.md").write_text("my card")
    (raw / "homes.csv").write_text("other rows")
    path = write(tmp_path / "homes.csv", homes())
    ended = project.retrain_here("add", "homes", str(path), "--target", "price")
    assert ended.stderr.startswith("Error: data/raw/homes/homes.csv: exists, with another content"), ended.output
    same = ["add", "homes", str(path), "--target", "price", "--test-file", str(path)]
    assert "has the same name as the other file" in project.retrain_here(*same).stderr
    (raw / "homes.csv").unlink()
    added(project, "homes", str(path), "--target", "price")
    project.retrain_here("remove", "homes")
    assert [(file.name, file.read_text()) for file in raw.iterdir()] == [("README.md", "my card")]


def test_dry_run_writes_nothing(project, tmp_path):
    said = added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price", "--dry-run")
    assert "      numbers: [area]" in said.splitlines()
    assert changes(project) == []


def test_dry_run_looks_at_new_rows_of_a_dataset(project, tmp_path):
    said = added(project, "diabetes", str(write(tmp_path / "homes.csv", homes())), "--target", "price", "--dry-run")
    assert "homes.csv: 200 rows" in said
    assert changes(project) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["diabetes", "homes.csv", "--target", "price"], "dataset 'diabetes': exists in params.yaml; choose another name"),
        (["Diabetes", "homes.csv", "--target", "price"], "dataset 'Diabetes' differs from 'diabetes' only in case"),
        (["20news", "homes.csv", "--target", "price"], "params.yaml: datasets: '20news' can't be the name of a dataset"),
        (["homes", "homes.csv", "--target", "prize"], "column 'prize' does not exist; did you mean 'price'?"),
        (["homes", "homes.csv", "--target", "-1"], "column '-1' does not exist; the first line counts as the header: give a name, or add --no-header if it is a row"),
        (["homes", "homes.csv", "--target", "country"], "homes.csv has a single class in 'country'; add rows"),
        (["homes", "homes.csv", "--target", "price", "--group", "price"], "--group: 'price' is also the target; choose"),
        (["homes", "homes.csv", "--target", "price", "--group", "town", "--time", "sold"], "--group can't be combined with --time: only one of them can decide the splits; remove --time"),
        (["homes", "homes.csv", "--target", "price", "--group", "country"], "--group 'country' has too few groups for the splits (1, and 3 are needed); add rows"),
        (["homes", "homes.csv", "--target", "price", "--time", "built"], "--time 'built' has too few different times for the splits (1, and 2 are needed); add rows of other times"),
        (["homes", "homes.csv", "--target", "price", "--date-format", "%s"], "--date-format: '%s' has an unknown code; use codes"),
        (["homes", "homes.csv", "--target", "price", "--numbers", "price"], "--target: 'price' is also given as numbers"),
        (["homes", "homes.csv", "--target", "price", "--time", "town"], "column 'town' does not hold dates"),
        (["homes", "no.csv", "--target", "price"], "no.csv does not exist; check the path"),
        (["homes", ".", "--target", "price"], ". is a folder, not a file"),
        (["homes", "ftp://x/homes.csv", "--target", "price"], "ftp://x/homes.csv has the unknown scheme 'ftp'"),
        (["homes", "tiny.csv", "--target", "price"], "tiny.csv has 3 rows, which are too few to learn from"),
        (["homes", "homes.csv", "--target", "price", "--separator", "::"], "--separator: '::' has 2 signs, but must have one; put tabs between them: awk"),
    ],
)  # fmt: skip
def test_wrong_input_changes_nothing(project, tmp_path, arguments, expected):
    write(tmp_path / "homes.csv", [{**home, "built": "2024-01-01"} for home in homes(50)])
    write(tmp_path / "tiny.csv", homes(3))
    name, file, *options = arguments
    file = str(tmp_path / file) if file.endswith(".csv") and "://" not in file and (tmp_path / file).exists() else file
    ended = project.retrain_here("add", name, file, *options)
    assert (ended.exit_code, ended.stderr.count("\n")) == (1, 1), ended.output
    assert ended.stderr.startswith(f"Error: {expected}")
    assert changes(project) == []


def test_standard_input_is_kept_and_url_and_compression_are_read(project, tmp_path):
    content = write(tmp_path / "homes.csv", homes(), separator=";").read_bytes()
    added(project, "piped", "-", "--target", "price", stdin=content.decode())
    for _ in range(2):
        assert (project.folder / "data/raw/piped/rows.csv").read_text() == content.decode().replace("\r\n", "\n")
        project.retrain_here("remove", "piped")
    with serving(sending(gzip.compress(content))) as (server, _):
        added(project, "loaded", f"{server}/homes.csv", "--target", "price")
    section = block(project, "loaded")["prepare"]
    assert section["train"]["location"] == f"{server}/homes.csv"
    assert len(section["train"]["sha256"]) == 64
    assert section["format"]["separator"] == ";"


def test_options_decide_instead_of_guesses(project, tmp_path):
    rows = [{**row, "price": row["price"] / 10} for row in homes()]
    path = write(tmp_path / "homes.csv", rows, separator=";", decimal=",")
    options = [
        "--numbers",
        "zip",
        "--categories",
        "remarks",
        "--leave-out",
        "sold",
        "--missing",
        "50",
        "--predict",
        "number",
    ]
    said = added(project, "homes", str(path), "--target", "price", *options)
    prepare = block(project, "homes")["prepare"]
    assert prepare["format"] == {"separator": ";", "decimal": ",", "missing": ["50"]}
    assert prepare["numbers"] == ["area", "zip"]
    assert prepare["categories"] == ["town", "remarks"]
    assert "dates" not in prepare
    assert "as you asked" in said


def split_of(project: Project, name: str, target: str = "price") -> dict[str, set[float]]:
    """The targets of each split."""
    folder = project.folder / "data" / name / "splits"
    return {path.stem: {*pd.read_parquet(path)[target]} for path in folder.iterdir() if path.stem != "test_groups"}


def test_prices_of_another_country(project, tmp_path):
    draw = random.Random(4)
    lines = ["Nr;Datum;Preis;Rabatt;Zahlt"]
    for number in range(60):
        price = f"{draw.randint(1, 9)}.{draw.randint(100, 999)},{draw.randint(10, 99)} €"
        lines.append(
            f"R{number};{draw.randint(1, 28)}.3.2024;{price};{draw.choice(['', '5 %', '10 %'])};{draw.choice(['früh', 'spät'])}"
        )
    path = tmp_path / "rechnungen.csv"
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    added(project, "bills", str(path), "--target", "Zahlt")
    prepare = block(project, "bills")["prepare"]
    expected = {
        "separator": ";",
        "encoding": "cp1252",
        "decimal": ",",
        "thousands": ".",
        "dates": ["%d.%m.%Y"],
        "units_in": {"Preis": "€", "Rabatt": "%"},
    }
    assert prepare["format"] == expected
    assert prepare["numbers"] == ["Preis", "Rabatt"]
    project.stages("prepare", "bills")
    rows = pd.read_parquet(project.folder / "data/bills/prepared/rows.parquet")
    first = lines[1].split(";")[2].removesuffix(" €").replace(".", "").replace(",", ".")
    assert rows["Preis"][0] == float(first)
    assert {*rows["Zahlt"]} == {"früh", "spät"}


def table(path: Path, columns: dict[str, list], separator: str = ",", encoding: str = "utf-8") -> Path:
    """A CSV file from columns."""
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_bytes("\n".join([*lines, ""]).encode(encoding))
    return path


def prepared_rows(project: Project, name: str, path: Path, *options: str) -> pd.DataFrame:
    """The tidy rows of a file that was added."""
    added(project, name, str(path), *options)
    project.stages("prepare", name)
    return pd.read_parquet(project.folder / f"data/{name}/prepared/rows.parquet")


def test_each_column_has_its_own_dates(project, tmp_path):
    days = [(2023, 1 + n % 12, 1 + n % 28) for n in range(60)]
    columns = {
        "eu": [f"{d:02}/{m:02}/{y}" for y, m, d in days],
        "us": [f"{m:02}/{d:02}/{y}" for y, m, d in days],
        "iso": [f"{y}-{m:02}-{d:02}" if n else "NA" for n, (y, m, d) in enumerate(days)],
        "short": [f"{d:02}.{m:02}.{y % 100:02}" for y, m, d in days],
        "y": [n % 7 + 0.5 for n in range(60)],
    }
    rows = prepared_rows(project, "days", table(tmp_path / "days.csv", columns), "--target", "y")
    expected = [pd.Timestamp(*day) for day in days]
    for name in ("eu", "us", "short"):
        assert rows[name].tolist() == expected
    assert rows["iso"].tolist()[1:] == expected[1:]
    assert rows["iso"].isna().tolist()[0]


def test_columns_with_one_name_are_told(project, tmp_path):
    path, rows = tmp_path / "twice.csv", [f"{n},{n % 7},{n % 5},{'ab'[n % 2]}" for n in range(60)]
    path.write_text("\n".join(["id,score,score,y", *rows]), encoding="utf-8")
    ended = project.retrain_here("add", "twice", str(path), "--target", "y")
    why = "'id' is left out (row numbers), 'score' is left out (several columns have this name)"
    assert ended.stderr == f"Error: twice.csv has no column to learn from: {why}; rename columns with the same name\n"
    rows = [f"{row[:-1]}{n / 7},{row[-1]}" for n, row in enumerate(rows)]
    path.write_text("\n".join(["id,score,score,x,y", *rows]), encoding="utf-8")
    said = added(project, "twice", str(path), "--target", "y", "--dry-run")
    assert "  ! several columns are called 'score', so they are left out: rename them\n" in said


def test_control_characters_are_not_printed(project, tmp_path):
    rows = [{"a": "\x1b[31m\0" if n == 7 else n * 7 % 50, "y": "uv"[n % 2]} for n in range(60)]
    said = added(project, "odd", str(write(tmp_path / "odd.csv", rows)), "--target", "y", "--dry-run")
    assert r"'\x1b[31m\x00' (1 row) counts as missing" in said


def test_times_of_day_are_no_order(project, tmp_path):
    clocks = [f"{n % 24:02}:{n * 7 % 60:02}" for n in range(60)]
    path = table(tmp_path / "clock.csv", {"at": clocks, "x": range(60), "y": [n % 2 for n in range(60)]})
    ended = project.retrain_here("add", "clock", str(path), "--target", "y", "--time", "at")
    assert ended.stderr.startswith(
        "Error: --time 'at' holds times of day without a day; write day and time in one column"
    )
    assert prepared_rows(project, "clock", path, "--target", "y")["at"][1] == pd.Timestamp(1900, 1, 1, 1, 7)


def test_times_of_day_beside_days(project, tmp_path):
    clocks, days = [f"{n % 24:02}:{n * 7 % 60:02}" for n in range(60)], [f"2024-01-{1 + n % 28:02}" for n in range(60)]
    path = table(tmp_path / "shifts.csv", {"at": clocks, "day": days, "y": [n % 2 for n in range(60)]})
    rows = prepared_rows(project, "shifts", path, "--target", "y")
    assert rows["day"].tolist() == list(map(pd.Timestamp, days))
    assert rows["at"].tolist() == [pd.Timestamp(f"1900-01-01 {at}") for at in clocks]


def test_negative_whole_numbers_are_prepared(project, tmp_path):
    numbers = [7 * n - 200 for n in range(60)]
    columns = {"change": [f"({-n})" if n < 0 else n for n in numbers], "y": [n % 2 for n in numbers]}
    path = table(tmp_path / "change.csv", columns)
    assert prepared_rows(project, "change", path, "--target", "y")["change"].tolist() == numbers


def test_unclear_dates_are_told(project, tmp_path):
    columns = {
        "when": [f"{1 + n % 12}/{1 + n % 9}/2023" for n in range(60)],
        "x": range(60),
        "y": [n % 5 + 0.5 for n in range(60)],
    }
    path = table(tmp_path / "days.csv", columns)
    assert "the order of day and month in 'when' is not clear" in added(
        project, "days", str(path), "--target", "y", "--dry-run"
    )
    rows = prepared_rows(project, "days", path, "--target", "y", "--date-format", "%m/%d/%Y")
    assert rows["when"].tolist()[:2] == [pd.Timestamp(2023, 1, 1), pd.Timestamp(2023, 2, 2)]


def test_a_marker_of_one_column_keeps_the_classes(project, tmp_path):
    columns = {
        "n": ["None" if n % 20 == 0 else n for n in range(60)],
        "w": ["None", "ab", "cd"] * 20,
        "y": ["None", "Some"] * 30,
    }
    rows = prepared_rows(project, "none", table(tmp_path / "none.csv", columns), "--target", "y")
    assert rows["y"].value_counts().to_dict() == {"None": 30, "Some": 30}
    assert rows["w"].value_counts().to_dict() == {"None": 20, "ab": 20, "cd": 20}
    assert rows["n"].isna().sum() == 3


def test_values_with_blanks_between_them(project, tmp_path):
    path = tmp_path / "cars.data"
    path.write_text("".join(f' {n % 9}.5   {n % 5:4}  {30 * n:5}\t"bmw {n % 3}"\n' for n in range(60)))
    rows = prepared_rows(project, "cars", path, "--target", "-2")
    assert rows.iloc[1].tolist() == [1.5, 1.0, "bmw 1", 30.0]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1", "1.0", "0", "0.0"], {"1": 40, "0": 40}),
        (["10000001", "10000001.0", "10000002", "10000002.0"], {"10000001": 40, "10000002": 40}),
        (["0.1234567", "0.12345670", "0.1234568", "0.1234568"], {"0.1234567": 40, "0.1234568": 40}),
        (["1234567890123456781", "1234567890123456782"] * 2, {"1234567890123456781": 40, "1234567890123456782": 40}),
        (["low", "low\u200b", "\u200ehigh", "high"], {"low": 40, "high": 40}),
    ],
)
def test_labels_are_one_class_only_if_they_are_the_same(project, tmp_path, labels, classes):
    columns = {"a": [n % 9 for n in range(80)], "code": labels * 20}
    said = added(project, "spelt", str(table(tmp_path / "spelt.csv", columns)), "--target", "code")
    assert all(f"{name} 50.0%" in said for name in classes)
    project.stages("prepare", "spelt")
    rows = pd.read_parquet(project.folder / "data/spelt/prepared/rows.parquet")
    assert rows["code"].value_counts().to_dict() == classes


def test_codes_as_a_target_are_labels(project, tmp_path):
    columns = {"a": [n % 9 for n in range(90)], "dept": [f"0{n % 3 + 1}" for n in range(90)]}
    rows = prepared_rows(project, "codes", table(tmp_path / "codes.csv", columns), "--target", "dept")
    assert {*rows["dept"]} == {"01", "02", "03"}


def test_all_columns_decide_how_numbers_are_written(project, tmp_path):
    columns = {"x": [f"0,{n % 9}5" for n in range(60)], "price": [f"1.{100 + n},50 €" for n in range(60)],
               "y": [f"1.{200 + n % 50}" for n in range(60)]}  # fmt: skip
    rows = prepared_rows(project, "euro", table(tmp_path / "euro.csv", columns, separator=";"), "--target", "y")
    assert rows.iloc[0].tolist() == [0.05, 1100.5, 1200.0]


def test_a_missing_value_can_be_given(project, tmp_path):
    columns = {
        "x": [-999 if n % 10 == 0 else n % 13 + 0.5 for n in range(60)],
        "z": [n % 7 for n in range(60)],
        "y": ["a", "b"] * 30,
    }
    rows = prepared_rows(project, "gaps", table(tmp_path / "gaps.csv", columns), "--target", "y", "--missing", "-999")
    assert rows["x"].isna().sum() == 6
    assert rows["x"].max() == 12.5


def test_codes_of_no_answer_are_told(project, tmp_path):
    answers = [(1 + n % 5, 98 if n % 19 == 0 else 99 if n % 11 == 0 else 1 + n % 7) for n in range(120)]
    columns = {"nr": range(1, 121), "q1": [two for _, two in answers], "q2": [7 - one for one, _ in answers],
               "y": [n % 9 + 0.5 for n in range(120)]}  # fmt: skip
    path = str(table(tmp_path / "survey.csv", columns))
    said = added(project, "survey", path, "--target", "y", "--missing", "98,99", "--dry-run")
    assert (
        "! no value is '98,99', which --missing gives: repeat it for each value, as in --missing 98 --missing 99"
        in said
    )
    hint = 'if that means a missing answer, set prepare.format.missing_in for each column, such as {"q1": ["98", "99"]}'
    assert f"! unlike the other values: 98 and 99 in 'q1': {hint}" in said
    said = added(project, "survey", path, "--target", "y", "--missing", "98", "--missing", "99")
    assert "left out: nr (row numbers)" in said
    assert "99 in" not in said
    assert block(project, "survey")["prepare"]["numbers"] == ["q1", "q2"]


def test_numbers_that_are_dates_are_told(project, tmp_path):
    columns = {
        "when": [f"2024{1 + n % 12:02}{1 + n % 28:02}" for n in range(60)],
        "y": [n % 5 + 0.5 for n in range(60)],
    }
    path = table(tmp_path / "days.csv", columns)
    said = added(project, "days", str(path), "--target", "y", "--dry-run")
    options = ["--dates", "when", "--date-format", "%Y%m%d"]
    assert f"all numbers in 'when' can be read as dates, such as 20240101: if so, add {' '.join(options)}" in said
    rows = prepared_rows(project, "days", path, "--target", "y", *(option.strip("'") for option in options))
    assert rows["when"].tolist()[:2] == [pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 2, 2)]


def test_losses_of_accountants_are_negative(project, tmp_path):
    profits = [7.25 * n - 200 for n in range(60)]
    columns = {"a": [n % 9 for n in range(60)], "profit": [f"{n:.2f}" if n > 0 else f"({-n:.2f})" for n in profits]}
    rows = prepared_rows(project, "losses", table(tmp_path / "losses.csv", columns), "--target", "profit")
    assert rows["profit"].tolist() == profits


def test_other_encodings_are_read_again(project, tmp_path):
    towns = {"cp1252": ["Köln", "Zürich", "Bonn"], "utf-8": ["Köln", "Zürich", "Köln"]}
    old, new = (
        table(tmp_path / f"{name}.csv", {"town": own * 40, "y": ["a", "b", "a"] * 40}, encoding=name)
        for name, own in towns.items()
    )
    added(project, "towns", str(old), "--target", "y", "--test-file", str(new))
    project.stages("prepare", "towns")
    folder = project.folder / "data/towns/prepared"
    found = [{*pd.read_parquet(folder / f"{name}.parquet")["town"]} for name in ("rows", "test")]
    assert found == [{*own} for own in towns.values()]


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"a": range(40), "y": [f"w{n}" for n in range(40)]}, [], "column 'y' has 40 different values in 40 rows, too many"),
        ({"a": range(40), "y": ["b", "c"] * 20}, ["--predict", "number"], "rows.csv, line 2, column 'y' holds 'b', which is not a number (40 rows); say how"),
        ({"a": [n if n % 2 else f"~{n}" for n in range(40)], "y": [n % 9 for n in range(40)]}, ["--numbers", "a"], "rows.csv, line 2, column 'a' holds '~0', which is not a number (20 rows); say how"),
        ({"a": ["b", "c"] * 20, "y": [n % 9 for n in range(40)]}, ["--dates", "a"], "column 'a' does not hold dates"),
        ({"a": ["2024-03-01"] * 39 + ["TS"], "y": [n % 9 for n in range(40)]}, ["--time", "a"], "rows.csv, line 41, column 'a' holds 'TS', which is not a time; enter it, remove the row, or leave out --time"),
        ({"a": ["2024-03-01"] * 30 + ["TS"] * 10, "y": [n % 9 for n in range(40)]}, ["--dates", "a"], "rows.csv, line 32, column 'a' holds 'TS', but other dates are written as 2024-12-31; write all in one way"),
        ({"a": range(1700000000, 1700000040), "y": [n % 9 for n in range(40)]}, ["--time", "a"], "column 'a' does not hold dates that can be read, such as '1700000000'; write them as dates, as in pandas: "),
        ({"a": range(44000, 44040), "y": [n % 9 for n in range(40)]}, ["--dates", "a"], "column 'a' does not hold dates that can be read, such as '44000'; say how they are written, as in --date-format %Y%m, or "),
        ({"a": ["b", "c"] * 20, "y": ["x", ""] * 20}, [], "rows.csv has a single class in 'y', 'x', and 20 rows without one; write a class in them too, such as no"),
        ({"a": ["b", "c"] * 20, "y": [""] * 40}, [], "rows.csv has no class in 'y', and 40 rows without one; write a class in them too"),
        ({"a": ["b", "c"] * 20, "y": ["x"] * 40, "answer": ["accept", "reject"] * 20}, [], "rows.csv has a single class in 'y'; 'answer' tells whether it is right: to predict that, use --target answer, or choose"),
        ({"a": [f"word {n // 2}" for n in range(40)], "y": [f"c{n // 2}" for n in range(40)]}, [], "rows.csv has 20 classes, but only 20 different rows, so too few are left to test; add rows with other inputs"),
        ({"a": [""] * 40, "y": ["x", "z"] * 20}, [], "rows.csv has no column to learn from: 'a' is left out (empty); add columns that"),
        ({"id": range(7, 87, 2), "y": ["x", "z"] * 20}, [], "rows.csv has no column to learn from: 'id' is left out (a different number in every row); if one of them tells something about the target, say what it holds, as in --numbers id"),
        ({"a": [f"2{n:03}-01" for n in range(40)], "y": ["x", "z"] * 20}, [], "rows.csv has no column to learn from: 'a' is left out (a different value in every row); add --dates a"),
        ({"a": range(5), "y": [1, 2, 3, 4, 5]}, [], "rows.csv has 5 rows, which are too few to learn from"),
    ],
)  # fmt: skip
def test_what_can_not_be_learned_is_refused(project, tmp_path, columns, options, expected):
    path = table(tmp_path / "rows.csv", columns)
    ended = project.retrain_here("add", "rows", str(path), "--target", "y", *options)
    assert ended.stderr.startswith(f"Error: {expected}"), ended.output
    assert changes(project) == []


def test_outliers_of_the_target_are_told(project, tmp_path):
    columns = {"a": [n % 11 for n in range(60)], "y": [n % 7 + 0.5 for n in range(59)] + [-12345]}
    said = added(project, "far", str(table(tmp_path / "far.csv", columns)), "--target", "y", "--dry-run")
    assert "the target -12345 is far from all others" in said


def test_headers_with_values_of_their_column(project, tmp_path):
    columns = {"text": [f"some words {n}" for n in range(60)], "spam": ["spam", "ham"] * 30}
    added(project, "words", str(table(tmp_path / "words.csv", columns)), "--target", "spam")
    assert "header" not in block(project, "words")["prepare"]


def test_few_groups_fill_all_splits(project, tmp_path):
    columns = {
        "g": [f"g{n % 6}" for n in range(60)],
        "a": [n % 11 for n in range(60)],
        "y": [n % 9 + 0.5 for n in range(60)],
    }
    path = table(tmp_path / "rows.csv", columns)
    added(project, "few", str(path), "--target", "y", "--group", "g")
    project.stages("prepare split", "few")
    assert {name: len(prices) for name, prices in split_of(project, "few", "y").items()}.keys() == {"train", "test"}


def test_folds_fit_few_groups(project, tmp_path):
    columns = {
        "g": [f"g{n % 4}" for n in range(80)],
        "a": [n % 11 for n in range(80)],
        "y": [n % 9 + 0.5 for n in range(80)],
    }
    added(project, "four", str(table(tmp_path / "rows.csv", columns)), "--target", "y", "--group", "g")
    assert block(project, "four")["split"]["folds"] == 3
    project.stages("prepare split", "four")


def test_texts_without_spaces_are_texts(project, tmp_path):
    draw = random.Random(6)
    words = ["这个产品", "质量", "很好", "很差", "我觉得", "手机", "不错", "失望", "昨天", "收到"]
    rows = [{"review": "".join(draw.choices(words, k=5)), "good": draw.choice(["yes", "no"])} for _ in range(80)]
    added(project, "chinese", str(write(tmp_path / "rows.csv", rows)), "--target", "good")
    assert block(project, "chinese")["prepare"]["texts"] == ["review"]


def test_groups_stay_together(project, tmp_path):
    rows = [{**row, "price": 1000.5 + i, "owner": f"{i % 20}{'.0' if i < 50 else ''}"} for i, row in enumerate(homes())]
    rows[3]["owner"], rows[5]["owner"] = "Ann", "ann"
    said = added(project, "grouped", str(write(tmp_path / "homes.csv", rows)), "--target", "price", "--group", "owner")
    assert "write it in one way ('Ann' and 'ann' in 'owner')" in said
    project.stages("prepare split", "grouped")
    owner = {row["price"]: row["owner"].removesuffix(".0") for row in rows}
    owners = {name: {owner[price] for price in prices} for name, prices in split_of(project, "grouped").items()}
    assert owners["train"] & owners["test"] == set()
    assert owners["train"] | owners["test"] == {*owner.values()}


@pytest.mark.parametrize("options", [[], ["--date-format", "%Y"]])
def test_years_can_be_times(project, tmp_path, options):
    columns = {
        "year": [1980 + n // 2 for n in range(80)],
        "a": [n % 11 for n in range(80)],
        "y": [n / 7 for n in range(80)],
    }
    path = table(tmp_path / "rows.csv", columns)
    added(project, "years", str(path), "--target", "y", "--time", "year", *options)
    project.stages("prepare split", "years")
    assert len(split_of(project, "years", "y")["test"]) == 16


def test_the_newest_rows_are_the_test_split(project, tmp_path):
    draw = random.Random(9)
    days = [f"{day}/{month}/2024" for month in range(1, 11) for day in range(1, 21)]
    rows = [{**row, "price": 1000.5 + i, "visit": day} for i, (row, day) in enumerate(zip(homes(), days, strict=True))]
    draw.shuffle(rows)
    added(project, "timed", str(write(tmp_path / "homes.csv", rows)), "--target", "price", "--time", "visit")
    project.stages("prepare split", "timed")
    assert split_of(project, "timed")["test"] == {1000.5 + i for i in range(160, 200)}


@pytest.mark.parametrize("option", ["--leave-out", "--categories", "--text"])
def test_times_need_not_be_inputs(project, tmp_path, option):
    path = table(tmp_path / "rows.csv", VISITS | {"day": [f"{n % 20 + 1}/{n // 20 + 1}/2024" for n in range(40)]})
    added(project, "visits", str(path), "--target", "y", "--time", "day", option, "day")
    project.stages("prepare split", "visits")
    assert split_of(project, "visits", "a")["test"] == {*VISITS["a"][32:]}


@pytest.mark.parametrize(("new", "share"), [(4, ""), (8, ""), (12, ""), (16, "40%"), (30, "75%")])
def test_few_times_divide_the_rows(project, tmp_path, new, share):
    path = table(tmp_path / "rows.csv", VISITS | {"day": ["2023"] * (40 - new) + ["2024"] * new})
    said = added(project, "visits", str(path), "--target", "y", "--time", "day", "--leave-out", "who")
    told = f"  ! the test split will have {share} of the rows instead of 20%: rows of one time stay together" in said
    assert told == bool(share)
    project.stages("prepare split", "visits")
    assert split_of(project, "visits", "a")["test"] == {*VISITS["a"][40 - new :]}


def test_files_without_a_header(project, tmp_path):
    path = tmp_path / "plain.tsv"
    path.write_text("".join(f"{'good' if i % 2 else 'bad'} phone number {i} of mine\t{i % 2}\n" for i in range(60)))
    said = added(project, "plain", str(path), "--target", "-1")
    prepare = block(project, "plain")["prepare"]
    assert (prepare["header"], prepare["columns"], prepare["target"]) == (False, ["column1", "column2"], "column2")
    assert "its first line does not look like a header" in said
    assert block(project, "plain")["split"]["task"] == "classification"


def test_oddities_are_told(project, tmp_path):
    draw = random.Random(5)
    rows = [{"a": draw.random(), "b": draw.choice("xyz"), "level": draw.choice([1, 2, 3])} for _ in range(300)]
    rows = [
        {**row, "grade": "Low" if row["level"] == 1 else "high", "spare": -999 if draw.random() < 0.3 else row["a"]}
        for row in rows
    ]
    rows += [{**rows[0], "grade": "low"}, {**rows[1], "grade": "other"}]
    said = added(project, "odd", str(write(tmp_path / "odd.csv", rows)), "--target", "grade")
    assert "2 of 4 classes have fewer than 10 rows" in said
    assert "the classes 'Low', 'low' differ only in case" in said
    assert "rows have the same inputs as a row with another label" in said
    assert "'level' alone tells the target almost always" in said
    assert "-999 (" in said
    assert block(project, "odd")["prepare"]["format"]["missing_in"] == {"spare": ["-999"]}


def test_wide_tables_are_short_blocks(project, tmp_path):
    draw = random.Random(2)
    rows = [{"label": i % 3, **{f"p{j}": draw.randint(0, 255) if j > 5 else 0 for j in range(200)}} for i in range(90)]
    added(project, "wide", str(write(tmp_path / "wide.csv", rows)), "--target", "label")
    prepare = block(project, "wide")["prepare"]
    assert prepare["numbers"] == "others"
    assert prepare["leave_out"] == [f"p{j}" for j in range(6)]
    assert block(project, "wide")["split"]["encoder"]["bins"] == 5
    project.stages("prepare", "wide")
    assert pd.read_parquet(project.folder / "data/wide/prepared/rows.parquet").shape == (90, 195)


def test_large_tables_have_no_reference(project, tmp_path):
    draw = random.Random(3)
    rows = [
        {"note": f"the {draw.choice('abc')} note of {i} and {draw.random()}", "label": i % 30} for i in range(2_200)
    ]
    path = str(write(tmp_path / "large.csv", rows))
    added(project, "large", path, "--target", "label", "--predict", "label")
    assert block(project, "large")["evaluate"] == {"reference": "none"}
    added(project, "small", str(write(tmp_path / "small.csv", rows[:600])), "--target", "label", "--predict", "label")
    assert block(project, "small")["evaluate"] == {}


def test_check_finds_what_is_wrong(project, tmp_path):
    added(project, "homes", str(write(tmp_path / "homes.csv", homes())), "--target", "price")
    project.set("homes.train.loop.epochs", "many")
    project.set("homes.split.test", 1.5)
    (project.folder / "data/raw/homes/README.md").unlink()
    (project.folder / "data/raw/homes/homes.csv").unlink()
    project.set("diabetes.train.network.hiden", 3)
    ended = project.retrain_here("check")
    assert ended.exit_code == 1
    for part in (
        "homes.csv does not exist",
        "split.test",
        "loop.epochs is the text 'many'",
        "the data card",
        "unknown parameter 'hiden'",
    ):
        assert part in ended.output
    assert "docstrings: ok" in ended.stdout.splitlines()
    assert project.retrain_here("check", "docstrings").exit_code == 0


def test_check_knows_the_plots(project):
    path = project.folder / "dvc.yaml"
    path.write_text(path.read_text().replace("  - diabetes loss:", "  - gone loss:"))
    ended = project.retrain_here("check")
    assert "the plot 'gone loss' is of no dataset in params.yaml" in ended.stdout


def test_units_can_be_given(project, tmp_path):
    draw = random.Random(5)
    rows = [{"weight": f"{draw.uniform(1, 9):.2f} st", "price": draw.uniform(1, 9)} for _ in range(100)]
    rows[3]["weight"] = "12"  # so that it is not found by itself
    said = added(project, "parcels", str(write(tmp_path / "parcels.csv", rows)), "--target", "price", "--units", "st")
    assert "st left out of numbers" in said
    assert block(project, "parcels")["prepare"]["numbers"] == ["weight"]


def test_columns_share_a_reason(project, tmp_path):
    columns = {"id": range(60), "nr": range(60), "a": ["x"] * 60, "b": ["x"] * 60, "c": [n % 11 for n in range(60)], "y": [n % 7 + 0.5 for n in range(60)]}  # fmt: skip
    said = added(project, "rows", str(table(tmp_path / "rows.csv", columns)), "--target", "y", "--dry-run")
    assert "  left out: id, nr (row numbers)\n" in said
    assert "  left out: a, b (always 'x')\n" in said
