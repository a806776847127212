"""`retrain gate`: answers, exit codes, the budget of the test rows, and a split that has changed."""

import json
import re
import shutil
from pathlib import Path

from retrain import params
from retrain.pipeline import dvc_lock
from retrain.release import ledger

import pandas as pd
import pytest
from click.testing import Result
from support.errors import error_line
from support.project import Project, copy_of_repository, made_once, number_rows, write_csv

pytestmark = pytest.mark.slow

LIMITS = {"confidence": 0.95, "uses": 10, "floors": {}, "drops": {}, "slices": {}}


def with_rows(folder: Path, count: int) -> None:
    """Write that many rows for `tiny_numbers` and `tiny_sign`."""
    rows = number_rows(count, seed=3)
    write_csv(folder / "data/raw/tiny_numbers/rows.csv", ["a", "b", "c", "y"], rows)
    signs = [[a, b, c, "plus" if a > b else "minus"] for a, b, c, _ in rows]
    write_csv(folder / "data/raw/tiny_sign/rows.csv", ["a", "b", "c", "sign"], signs)


def tag(project: Project, name: str) -> None:
    """Commit everything under a name."""
    project.commit()
    assert project.run("git", "tag", name).returncode == 0


def evaluated(project: Project, stages: str, *datasets: str) -> None:
    """Run stages of some datasets without a record, and note their results in dvc.lock."""
    project.stages(stages, *datasets)
    project.note(*(f"{stage}@{dataset}" for dataset in datasets for stage in stages.split()))


@pytest.fixture(scope="module")
def larger(pair_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with 300 test rows for two datasets, and a tag for each of their results. Shared: look, don't touch."""

    def make(folder: Path) -> None:
        project = pair_project.copy(folder)
        content = project.params()
        del content["defaults"]["gate"]
        project.write_params(content)
        with_rows(folder, 1500)
        evaluated(project, "prepare split train evaluate", "tiny_numbers", "tiny_sign")
        tag(project, "first")
        project.set("tiny_sign.train.loop.epochs", 4)
        project.set("tiny_numbers.train.loop.epochs", 10)
        evaluated(project, "train evaluate", "tiny_numbers", "tiny_sign")
        tag(project, "longer")
        project.set("tiny_sign.split.seed", 2)
        evaluated(project, "split train evaluate", "tiny_sign")
        tag(project, "other-split")
        with_rows(folder, 1800)  # the first 1500 stay in their splits
        evaluated(project, "prepare split train evaluate", "tiny_numbers")
        tag(project, "more-rows")

    return made_once(tmp_path_factory, "larger-project", make)


@pytest.fixture
def gated(larger: Project, tmp_path: Path) -> Project:
    """A copy of it that a test may change."""
    return larger.copy(tmp_path / "gated")


def gate_of(project: Project, tag: str, dataset: str, **limits: object) -> None:
    """Make the result of a tag the candidate, and set the gate's parameters."""
    ended = project.run("git", "checkout", "-q", tag, "--", "dvc.lock", "params.yaml", "reports", "data/raw")
    assert ended.returncode == 0, ended.said
    project.set(f"{dataset}.gate", LIMITS | limits)


def asked(project: Project, *arguments: str) -> Result:
    """Run the gate."""
    return project.retrain_here("gate", *arguments)


def found(project: Project, *arguments: str) -> dict:
    """The answer as JSON."""
    return json.loads(asked(project, *arguments, "--json").stdout)


def ledger_lines(project: Project, dataset: str) -> int:
    """How many entries there are."""
    return len(ledger.read(project.folder, dataset))


def promote(project: Project, dataset: str) -> None:
    """Write the working tree's model into the ledger as champion, from a commit that is gone."""
    outputs = dvc_lock.read(project.folder).of([dataset]).outputs()
    content = {"model_sha256": "0" * 64, "commit": "0" * 40, "outputs": outputs}
    ledger.append(project.folder, dataset, "promoted", content)


def test_pass_fail_and_cannot_decide(gated):
    gate_of(gated, "longer", "tiny_numbers", drops={"rmse": 0.05})
    better = asked(gated, "tiny_numbers", "--against", "first")
    assert better.exit_code == 0, better.output
    lines = better.stdout.splitlines()
    assert lines[0] == "tiny_numbers: pass: rmse does not drop (limit 5.00 %)."
    assert re.split("  +", lines[3])[:2] == ["rmse, drop", "5.00 %"]
    assert "compare two models, first (commit " in lines[5]
    assert lines[5].endswith("a question for seeds: retrain seeds tiny_numbers")
    assert re.fullmatch(r"Use 1 of 10 of these rows \(\d{4}-\d\d-\d\d\), at 99.5 % confidence.", lines[6])
    gate_of(gated, "first", "tiny_numbers", drops={"rmse": 0.01})
    worse = asked(gated, "tiny_numbers", "--against", "longer", "--markdown")
    assert worse.exit_code == 1
    assert worse.stdout.startswith("**tiny_numbers: fail**: rmse drops by ")
    assert re.search(r"^\| rmse, drop \|.*\| +fail \|$", worse.stdout, re.MULTILINE)
    (drop,) = found(gated, "tiny_numbers", "--against", "longer")["checks"]
    assert drop["low"] < drop["drop"] < drop["high"]
    assert drop["drop"] < drop["decidable"]
    gate_of(gated, "first", "tiny_numbers", drops={"rmse": drop["drop"]})  # between the bounds
    unsure = asked(gated, "tiny_numbers", "--against", "longer")
    assert unsure.exit_code == 2
    assert unsure.stdout.startswith("tiny_numbers: cannot decide: 286 test rows can decide a drop of rmse from ")


def test_same_question_costs_nothing(gated):
    gate_of(gated, "longer", "tiny_numbers", drops={"rmse": 0.05}, uses=1)
    first = asked(gated, "tiny_numbers", "--against", "first")
    assert asked(gated, "tiny_numbers", "--against", "first").output == first.output
    assert gated.run("git", "tag", "same", "first").returncode == 0
    gate_of(gated, "longer", "tiny_numbers", drops={"rmse": 0.05, "accuracy": 0.5}, uses=1)  # it has no accuracy
    assert asked(gated, "tiny_numbers", "--against", "same").exit_code == first.exit_code
    assert ledger_lines(gated, "tiny_numbers") == 1
    for limits in ({"drops": {"rmse": 0.06}, "uses": 1}, {"drops": {"rmse": 0.05}, "uses": 1000}):
        gate_of(gated, "longer", "tiny_numbers", **limits)
        spent = asked(gated, "tiny_numbers", "--against", "first")
        assert spent.exit_code == 2
        assert spent.stdout.startswith(
            "tiny_numbers: cannot decide: the error rate of these test rows is spent after 1 use; evaluate on new test rows"
        )
    assert ledger_lines(gated, "tiny_numbers") == 1


def test_model_against_itself(gated):
    gate_of(gated, "first", "tiny_sign", drops={"accuracy": 0.0})
    ended = asked(gated, "tiny_sign", "--against", "first")
    assert ended.exit_code == 0
    assert "The candidate is the same model as first" in ended.stdout
    assert ledger_lines(gated, "tiny_sign") == 0


def test_floors_without_champion(gated):
    gate_of(gated, "first", "tiny_sign", floors={"accuracy": 0.2, "log_loss": 0.0001})
    ended = asked(gated, "tiny_sign")
    assert ended.exit_code == 1
    assert ended.stdout.startswith("tiny_sign: fail: log_loss ")
    assert " misses the floor 0.0001" in ended.stdout
    assert "There is no champion to compare with" in ended.stdout
    value = json.loads((gated.folder / "reports/tiny_sign/metrics.json").read_text())["test"]["accuracy"]
    gate_of(gated, "first", "tiny_sign", floors={"accuracy": value, "rmse": 1.0, "brier": None})
    close = asked(gated, "tiny_sign")
    assert close.exit_code == 0
    assert "keeps to the floor" in close.stdout
    assert "which is within its 95 % interval" in close.stdout
    gate_of(gated, "first", "tiny_sign", drops={"accuracy": 0.1})
    ledger.append(gated.folder, "former_sign", "promoted", {"model_sha256": "0" * 64})
    nothing = asked(gated, "tiny_sign")
    assert nothing.stdout.startswith("tiny_sign: pass: nothing was checked, because there is no champion and no floor.")
    assert "releases/former_sign.jsonl has the champion of 'former_sign', which is not in params.yaml" in nothing.stderr
    assert "former_sign" not in asked(gated, "tiny_sign", "--against", "first").stderr
    assert [entry["use"] for entry in ledger.read(gated.folder, "tiny_sign")] == [0, 0, 0]


def test_slices_and_calibration(gated):
    slices = {"target": {"plus": {"drops": {"accuracy": 0.9}, "floors": {"accuracy": 0.01}}}}
    gate_of(gated, "longer", "tiny_sign", drops={"calibration_error": 0.9, "macro_f1": 0.9}, slices=slices)
    answer = found(gated, "tiny_sign", "--against", "first")
    assert [(check["kind"], check["metric"], check["where"]) for check in answer["checks"]] == [
        ("floor", "accuracy", "target = plus"), ("drop", "calibration_error", ""), ("drop", "macro_f1", ""),
        ("drop", "accuracy", "target = plus"),
    ]  # fmt: skip
    assert answer["answer"] == "pass"
    assert 0 < answer["checks"][-1]["rows"] < answer["test_rows"]
    metrics = json.loads((gated.folder / "reports/tiny_sign/metrics.json").read_text())["test"]
    assert answer["checks"][1]["candidate"] == pytest.approx(metrics["calibration_error"], abs=1e-8)
    gate_of(gated, "longer", "tiny_sign", slices={"target": {"puls": {"drops": {"accuracy": 0.9}}}})
    few = asked(gated, "tiny_sign", "--against", "first")
    assert (few.exit_code, few.stdout) == (1, "")
    where = "params.yaml: datasets.tiny_sign.gate.slices"
    assert error_line(few.stderr) == f"{where}: no test row has 'puls' in column 'target'; did you mean 'plus'?"
    gate_of(gated, "longer", "tiny_sign", slices={"tagret": {"plus": {"drops": {"accuracy": 0.9}}}})
    said = error_line(asked(gated, "tiny_sign", "--against", "first").stderr)
    assert said == "params.yaml: datasets.tiny_sign.gate.slices: unknown column 'tagret'; did you mean 'target'?"


def test_champion_of_a_lost_commit(gated):
    gate_of(gated, "first", "tiny_numbers", drops={"rmse": 0.05})
    said = error_line(asked(gated, "tiny_numbers", "--against", "champion").stderr)
    assert said.startswith("dataset 'tiny_numbers' has no champion yet; ")
    promote(gated, "tiny_numbers")
    gate_of(gated, "longer", "tiny_numbers", drops={"rmse": 0.05})
    answer = found(gated, "tiny_numbers")
    assert (answer["answer"], answer["against"]) == ("pass", "champion")
    gate_of(gated, "longer", "tiny_numbers", drops={"rmse": 0.04})
    (model,) = (
        out.md5
        for out in dvc_lock.read(gated.folder).stages["train@tiny_numbers"].outs
        if out.path.startswith("models")
    )
    promoted = ledger.read(gated.folder, "tiny_numbers")[0]["outputs"]["models/tiny_numbers"]
    assert promoted != model
    (gated.folder / ".dvc/cache/files/md5" / promoted[:2] / promoted[2:]).unlink()
    gone = asked(gated, "tiny_numbers")
    assert gone.exit_code == 2
    assert "model.json of commit 0000000 is not in DVC's cache; run: dvc fetch --all-commits" in gone.stdout


def test_outputs_that_were_never_pulled(gated):
    for folder in (".dvc/cache", "models", "reports/tiny_numbers"):
        shutil.rmtree(gated.folder / folder)
    gate_of(gated, "longer", "tiny_numbers", floors={"rmse": 9.0})
    assert error_line(asked(gated, "tiny_numbers").stderr) == (
        "model.json of the working tree is not in DVC's cache; "
        "run: dvc pull --with-deps plot@tiny_numbers; if no remote has it: make repro DATASET=tiny_numbers"
    )


def test_rows_that_a_model_learned_from(gated):
    gate_of(gated, "other-split", "tiny_sign", drops={"accuracy": 0.5})
    ended = asked(gated, "tiny_sign", "--against", "first")
    assert ended.exit_code == 2
    line = ended.stdout.splitlines()[0]
    match = re.search(r"learned from (\d+) of today's (\d+) test rows", line)
    assert 0 < int(match[1]) < int(match[2])
    assert line.endswith("run: dvc exp run -S ++datasets.tiny_sign.split.seed=1 plot@tiny_sign")
    assert ledger_lines(gated, "tiny_sign") == 0


def test_new_rows_are_predicted_again(gated):
    gate_of(gated, "longer", "tiny_numbers")
    before = json.loads((gated.folder / "reports/tiny_numbers/metrics.json").read_text())["test"]["rmse"]
    gate_of(gated, "more-rows", "tiny_numbers", drops={"rmse": 0.5})
    answer = found(gated, "tiny_numbers", "--against", "longer")
    (check,) = answer["checks"]
    assert (answer["use"], check["rows"]) == (1, answer["test_rows"])
    assert check["against"] != pytest.approx(before, abs=1e-6)
    assert check["against"] == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize(
    ("dataset", "column", "changed", "reason"),
    [
        (
            "tiny_sign", "sign", {"plus": "positive", "minus": "negative"},
            r"never learned the classes 'negative' and 'positive', which \d+ of today's test rows have",
        ),
        ("tiny_numbers", "y", 1000.0, r"far worse .* than their mean \(rmse .*\): has the target another unit\?"),
    ],
    ids=["classes renamed", "other unit"],
)  # fmt: skip
def test_target_with_another_meaning_is_not_compared(gated, dataset, column, changed, reason):
    gate_of(gated, "first", dataset, drops={"accuracy": 0.5, "rmse": 0.5})
    path = gated.folder / f"data/raw/{dataset}/rows.csv"
    rows = pd.read_csv(path)
    rows[column] = rows[column] * changed if isinstance(changed, float) else rows[column].replace(changed)
    rows.to_csv(path, index=False)
    evaluated(gated, "prepare split train evaluate", dataset)
    gated.commit()
    ended = asked(gated, dataset, "--against", "first")
    assert ended.exit_code == 2, ended.output
    line = ended.stdout.splitlines()[0]
    assert re.search(reason, line), line
    assert line.endswith(f"; if that is on purpose, run: retrain promote {dataset} --override REASON")
    assert ledger_lines(gated, dataset) == 0


def test_errors_print_no_answer(gated):
    gate_of(gated, "first", "tiny_numbers", drops={"rmse": 0.05})
    gated.set("tiny_numbers.train.loop.epochs", 7)
    for arguments, fact in (
        (["tiny_numbers"], "the result of 'tiny_numbers' is out of date (train: params.yaml: datasets.tiny_numbers.train.loop.epochs is 7, was 3); run: make repro DATASET=tiny_numbers"),
        (["tiny_nmbers"], "params.yaml: datasets: unknown dataset 'tiny_nmbers'; did you mean 'tiny_numbers'?"),
        (["tiny_sign"], "params.yaml: datasets.tiny_sign.gate is missing; add it below 'defaults:' of params.yaml: gate: {"),
    ):  # fmt: skip
        ended = asked(gated, *arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert error_line(ended.stderr).startswith(fact)
    assert asked(gated, "tiny_numbers", "--json", "--markdown").exit_code == 2


def test_check_and_status_know_the_gate(gated):
    gate_of(gated, "first", "tiny_sign", drops={"accuracy": 0.5})
    assert "gate" not in gated.retrain_here("status", "tiny_sign").stdout
    assert "gate" not in gated.retrain_here("check", "tiny_sign").stdout
    gated.set("tiny_sign.gate", LIMITS | {"confidence": 95, "drops": {"acuracy": 0.1}})
    said = gated.retrain_here("check", "tiny_sign").stdout
    assert "params.yaml: datasets.tiny_sign.gate: confidence is 95, but must be less than 1" in said
    assert "unknown metric 'acuracy' (did you mean 'accuracy'?)" in said


@pytest.mark.campaign  # the other tests have the same answers from smaller data
def test_shipped_datasets(tmp_path):
    project = copy_of_repository(tmp_path / "project")
    shipped = ("diabetes", "docstrings")
    project.stages("prepare split train evaluate", *shipped)
    project.dvc("commit", "--force", *(f"{stage}@{name}" for name in shipped for stage in params.STAGES[:-1]))
    if project.run("git", "status", "--porcelain").stdout:  # this code may not be that of the committed dvc.lock
        project.commit()
    project.set("diabetes.train.loop.epochs", 10)
    project.set("docstrings.train.loop.learning_rate", 0.001)
    for name in shipped:
        project.run_stages_here(name, "train", "evaluate")
    unsure, worse = (project.run("retrain", "gate", name, "--against", "HEAD") for name in shipped)
    assert unsure.returncode == 2, unsure.said
    assert unsure.stdout.startswith("diabetes: cannot decide: 98 test rows can decide a drop of rmse from ")
    assert worse.returncode == 1, worse.said
    assert worse.stdout.startswith("docstrings: fail: accuracy drops by ")
