"""`retrain reset` takes one dataset back to the last commit and touches nothing else."""

import shutil

import pytest

pytestmark = pytest.mark.slow
REPORT = "reports/tiny_sign/metrics.json"


def changed_files(project) -> set[str]:
    return {line[3:] for line in project.run("git", "status", "--porcelain").stdout.splitlines()}


def test_reset_undoes_an_experiment_and_nothing_else(pair):
    text = (pair.folder / "params.yaml").read_text()
    outputs = list((pair.folder / "models/tiny_sign").iterdir())
    before = {path: path.read_bytes() for path in outputs}
    pair.set("tiny_sign.train.loop.epochs", 1)
    pair.run_stages_here("tiny_sign", "train", "evaluate", RETRAIN_TRACKING="off")
    assert changed_files(pair) == {"params.yaml", "dvc.lock", REPORT}
    assert {path: path.read_bytes() for path in outputs} != before
    ended = pair.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines() == [
        "params.yaml: restored the block of tiny_sign",
        "dvc.lock: restored the stages of tiny_sign",
        f"{REPORT}: restored",
        "the outputs of tiny_sign are as in the last commit",
    ]
    assert {path: path.read_bytes() for path in outputs} == before
    assert (pair.folder / "params.yaml").read_text() == text
    assert changed_files(pair) == set()
    assert pair.retrain_here("status").exit_code == 0

    path, params = pair.folder / "params.yaml", pair.params()
    params["defaults"]["train"]["loop"]["seed"] = 2
    params["datasets"]["tiny_numbers"]["train"]["loop"]["epochs"] = 7
    params["datasets"]["tiny_sign"]["train"]["loop"]["epochs"] = 1
    pair.write_params(params)
    path.write_text(f"# a comment\n{path.read_text()}")
    (pair.folder / "reports/tiny_numbers/metrics.json").write_text("{}")
    (pair.folder / "README.md").write_text("mine")
    ended = pair.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[-1] == (
        "params.yaml: 'defaults.train.loop.seed' still differs from the last commit, for all datasets; "
        "to restore the whole file: git checkout params.yaml"
    )
    assert pair.params()["datasets"]["tiny_sign"]["train"]["loop"]["epochs"] == 3
    assert pair.params()["datasets"]["tiny_numbers"]["train"]["loop"]["epochs"] == 7
    assert path.read_text().startswith("# a comment\n")
    assert changed_files(pair) == {"params.yaml", "README.md", "reports/tiny_numbers/metrics.json"}


def test_reset_names_changed_rows(pair):
    raw, rows = "data/raw/tiny_sign", pair.folder / "data/raw/tiny_sign/rows.csv"
    before = rows.read_bytes()
    pair.run("git", "rm", "-q", "--cached", f"{raw}/rows.csv")
    pair.track(f"{raw}/rows.csv")
    pair.commit()
    rows.write_bytes(before + before.splitlines(keepends=True)[-1])
    pair.track(f"{raw}/rows.csv")
    last = pair.retrain_here("reset", "tiny_sign").stdout.splitlines()[-1]
    fact, _, command = last.partition("; to restore the rows too: ")
    assert fact == f"{raw}/rows.csv.dvc still differs from the last commit"
    assert pair.run("bash", "-c", command).returncode == 0
    assert rows.read_bytes() == before
    again = pair.retrain_here("reset", "tiny_sign").stdout
    assert again.startswith("params.yaml, dvc.lock and the metrics of tiny_sign are as in the last commit\n")
    assert "rows too" not in again


def test_reset_without_committed_results(pair):
    pair.run("git", "rm", "-q", REPORT)
    params = pair.run("git", "show", "HEAD:dvc.lock").stdout
    assert "tiny_sign" in params
    (pair.folder / "dvc.lock").unlink()
    pair.commit()
    (pair.folder / "dvc.lock").write_text(params)
    (pair.folder / REPORT).write_text("{}")
    ended = pair.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert not (pair.folder / REPORT).exists()
    assert not (pair.folder / "models/tiny_sign").exists()
    assert (pair.folder / "models/tiny_numbers").exists()


def test_reset_fills_a_lost_cache(pair):
    shutil.rmtree(pair.folder / ".dvc/cache")
    ended = pair.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    first, *_, last = ended.stdout.splitlines()
    assert first.startswith("DVC's cache had lost 'data/tiny_sign/prepared', ")
    assert last == "the outputs of tiny_sign are as in the last commit"
    shutil.rmtree(pair.folder / "models/tiny_sign")
    again = pair.retrain_here("reset", "tiny_sign")
    assert "had lost" not in again.stdout
    assert (pair.folder / "models/tiny_sign/model.json").exists()


def test_reset_that_is_not_possible_changes_nothing(pair):
    ended = pair.retrain_here("reset", "nope")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: params.yaml: datasets: unknown dataset 'nope'; known are: ")
    shutil.rmtree(pair.folder / ".dvc/cache")
    shutil.rmtree(pair.folder / "models/tiny_sign")
    pair.set("tiny_sign.train.loop.epochs", 4)
    before = {path: path.read_bytes() for path in pair.folder.glob("reports/tiny_sign/*.*")}
    ended = pair.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 1
    assert ended.stderr.startswith(
        "Error: the committed outputs of tiny_sign are not all in DVC's cache; get them from a remote: dvc fetch"
    )
    assert pair.params()["datasets"]["tiny_sign"]["train"]["loop"]["epochs"] == 4
    assert {path: path.read_bytes() for path in before} == before
    params = pair.params()
    params["datasets"]["nope"] = params["datasets"]["tiny_sign"]
    pair.write_params(params)
    ended = pair.retrain_here("reset", "nope")
    assert ended.stderr.startswith(
        "Error: the params.yaml of the last commit has no dataset 'nope'; commit it, or remove"
    )
