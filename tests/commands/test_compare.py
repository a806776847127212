"""`retrain compare`: what differs between two results, and whether it means anything."""

import json
import re
import shutil

from retrain.evaluation import seeds
from retrain.evaluation.seeds import Seeds, Share, Trained
from retrain.models import description

import pytest
from support.project import Project

pytestmark = pytest.mark.slow


def compared(project: Project, *arguments: str) -> list[str]:
    """What it prints."""
    ended = project.retrain_here("compare", *arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()


def cells(lines: list[str], first: str) -> list[str]:
    """The cells of the line that starts with a name."""
    (found,) = [row for row in (re.split("  +", line) for line in lines) if row[0] == first]
    return found


def write_seeds(project: Project, least: float, largest: float) -> None:
    """A spread of the RMSE of `tiny_numbers` that fits its model."""
    runs = tuple(Trained(seed=n, best_epoch=1, metrics={"rmse": value}) for n, value in enumerate((least, largest)))
    share = Share(share=1.0, rows=9, spread=seeds.spread_of(runs), runs=runs)
    model = description.read(project.folder / "models" / "tiny_numbers")
    found = Seeds(made_with=seeds.made_with(model), shares=(share,))
    path = project.folder / "reports" / "tiny_numbers" / "seeds.json"
    path.write_text(json.dumps(found.model_dump(mode="json")))


def test_equal_results(pair):
    lines = compared(pair, "HEAD")
    starts = [line for line in lines if line.endswith("HEAD -> workspace")]
    assert sorted(starts) == [f"{name}: HEAD -> workspace" for name in ("tiny_numbers", "tiny_sign")]
    assert lines.count("parameters: the same.") == 2
    lines = compared(pair, "HEAD", "--dataset", "tiny_sign")
    assert cells(lines, "accuracy")[3:] == ["+0.0000", "+0.0000 to +0.0000", "the same"]
    assert not [line for line in lines if line.startswith("code: ")]


def test_changed_result(pair):
    before = json.loads((pair.folder / "reports/tiny_numbers/metrics.json").read_text())["test"]
    pair.set("tiny_numbers.train.loop.epochs", 30)
    said = pair.retrain_here("compare", "HEAD", "--dataset", "tiny_numbers")
    assert said.stderr == (
        "Warning: the result of 'tiny_numbers' is out of date (train: params.yaml: datasets.tiny_numbers.train.loop.epochs is 30, "
        "was 3); run: make repro DATASET=tiny_numbers\n"
    )
    with (pair.folder / "data/raw/tiny_sign/rows.csv").open("a") as rows:
        rows.write("1,2,3,plus\n")
    said = pair.retrain_here("compare", "HEAD", "--dataset", "tiny_sign")
    assert "is out of date (prepare: data/raw/tiny_sign changed)" in said.stderr
    pair.run_stages_here("tiny_numbers", "train", "evaluate", "plot")
    after = json.loads((pair.folder / "reports/tiny_numbers/metrics.json").read_text())["test"]
    lines = compared(pair, "HEAD", "--dataset", "tiny_numbers")
    assert lines[0] == "tiny_numbers: HEAD -> workspace"
    start = (
        f"better: rmse {before['rmse']:.4f} -> {after['rmse']:.4f}, difference {after['rmse'] - before['rmse']:+.4f} ("
    )
    assert lines[1].startswith(start)
    assert cells(lines, "train.loop.epochs") == ["train.loop.epochs", "3", "30"]
    assert lines[-1].startswith("data: the same rows in all splits: train ")

    difference = before["rmse"] - after["rmse"]
    write_seeds(pair, 1.0, 1.0 + difference * 1.1)
    line = compared(pair, "HEAD", "--dataset", "tiny_numbers")[2]
    assert line.startswith("The difference is smaller than the spread over seeds (rmse 1.0000 to ")
    write_seeds(pair, 1.0, 1.0 + difference * 0.05)
    pair.commit()
    lines = compared(pair, "HEAD~1", "HEAD", "--dataset", "tiny_numbers", "--markdown")
    assert lines[0] == "### tiny_numbers: HEAD~1 -> HEAD"
    assert lines[2].startswith("**better**: rmse ")
    assert lines[3].startswith("The difference is larger than the spread over seeds (rmse ")
    assert re.fullmatch(r"\|-+(\|-+:)+\|", lines[6])
    assert "| train.loop.epochs | 3      | 30   |" in lines
    back = compared(pair, "HEAD", "HEAD~1", "--dataset", "tiny_numbers")
    assert back[1].startswith("worse: rmse ")


def test_experiment_is_found_by_name(pair):
    head, tree = (pair.run("git", "rev-parse", name).stdout.strip() for name in ("HEAD", "HEAD^{tree}"))
    commit = pair.run("git", "commit-tree", tree, "-p", head, "-m", "an experiment").stdout.strip()
    pair.run("git", "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/wide-net", commit)
    assert compared(pair, "wide-net", "HEAD", "--dataset", "tiny_sign")[0] == "tiny_sign: wide-net -> HEAD"
    pair.run("git", "update-ref", f"refs/exps/{'0' * 2}/{'1' * 38}/wide-net", commit)
    assert compared(pair, "wide-net", "HEAD", "--dataset", "tiny_sign")  # that of the last commit
    pair.run("git", "update-ref", "-d", f"refs/exps/{head[:2]}/{head[2:]}/wide-net")
    pair.run("git", "update-ref", f"refs/exps/{'0' * 2}/{'2' * 38}/wide-net", commit)
    said = pair.retrain_here("compare", "wide-net").stderr
    assert said.startswith("Error: 'wide-net' is the name of several experiments; name a commit: ")


def test_other_rows_are_not_paired(pair):
    pair.set("tiny_sign.split.seed", 2)
    pair.run_stages_here("tiny_sign", "split", "train", "evaluate")
    lines = compared(pair, "HEAD", "--dataset", "tiny_sign")
    assert lines[2] == "The difference has no interval: the test rows differ, so they can't be paired"
    assert len(cells(lines, "accuracy")) == 4
    assert "test " in lines[-1]
    assert "(different rows)" in lines[-1]


def test_missing_files_are_named(pair):
    shutil.rmtree(pair.folder / ".dvc" / "cache" / "files")
    (pair.folder / "reports" / "tiny_sign" / "predictions.csv").unlink()
    (pair.folder / "reports" / "tiny_numbers" / "metrics.json").write_text("{}")
    lines = compared(pair, "HEAD", "--dataset", "tiny_sign")
    commit = pair.run("git", "rev-parse", "HEAD").stdout[:7]
    assert lines[2] == (
        f"The difference has no interval: predictions.csv of commit {commit} is not in DVC's cache; "
        "run: dvc fetch --all-commits"
    )
    assert cells(lines, "accuracy")[3] == "+0.0000"
    shutil.rmtree(pair.folder / "models" / "tiny_sign")
    assert compared(pair, "HEAD", "--dataset", "tiny_sign")[-1] == "data: the same rows in all splits."
    for arguments, error in (
        (["HEAD", "--dataset", "tiny_numbers"], "reports/tiny_numbers/metrics.json of the working tree is not the one that dvc.lock records; run: "),
        (["HEAD", "--dataset", "tiny_sgn"], f"dvc.lock of commit {commit} has no result of 'tiny_sgn'; did you mean 'tiny_sign'?"),
        (["nowhere"], "revision 'nowhere' is neither a commit nor a DVC experiment; "),
        (["--", "--all"], "revision '--all' is neither a commit nor a DVC experiment; "),
    ):  # fmt: skip
        ended = pair.retrain_here("compare", *arguments)
        assert ended.exit_code == 1
        assert ended.stderr.startswith(f"Error: {error}")
        assert ended.stderr.count("\n") == 1
