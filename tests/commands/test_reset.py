"""`retrain reset` takes one dataset back to the last commit and touches nothing else."""

import shutil

import pytest

pytestmark = pytest.mark.slow
REPORT = "reports/tiny_sign/metrics.json"


def changed_files(project) -> set[str]:
    return {line[3:] for line in project.run("git", "status", "--porcelain").stdout.splitlines()}


def test_reset_undoes_an_experiment(finished):
    text = (finished.folder / "params.yaml").read_text()
    outputs = list((finished.folder / "models/tiny_sign").iterdir())
    before = {path: path.read_bytes() for path in outputs}
    finished.set("tiny_sign.train.loop.epochs", 1)
    finished.run_stages_here("tiny_sign", "train", "evaluate", "plot", RETRAIN_TRACKING="off")
    assert changed_files(finished) == {"params.yaml", "dvc.lock", REPORT}
    assert {path: path.read_bytes() for path in outputs} != before
    ended = finished.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines() == [
        "params.yaml: restored the block of tiny_sign",
        "dvc.lock: restored the stages of tiny_sign",
        f"{REPORT}: restored",
        "the outputs of tiny_sign are as in the last commit",
    ]
    assert {path: path.read_bytes() for path in outputs} == before
    assert (finished.folder / "params.yaml").read_text() == text
    assert changed_files(finished) == set()
    assert finished.retrain_here("status").exit_code == 0
    again = finished.retrain_here("reset", "tiny_sign")
    assert again.stdout.startswith("params.yaml, dvc.lock and the metrics of tiny_sign are as in the last commit\n")


def test_reset_keeps_other_changes(finished):
    path = finished.folder / "params.yaml"
    finished.set("tiny_news.train.loop.epochs", 7)
    finished.set("tiny_sign.train.loop.epochs", 1)
    path.write_text(f"# a comment\n{path.read_text()}")
    (finished.folder / "reports/tiny_news/metrics.json").write_text("{}")
    (finished.folder / "README.md").write_text("mine")
    assert finished.retrain_here("reset", "tiny_sign").exit_code == 0
    assert finished.params()["datasets"]["tiny_sign"]["train"]["loop"]["epochs"] == 3
    assert finished.params()["datasets"]["tiny_news"]["train"]["loop"]["epochs"] == 7
    assert path.read_text().startswith("# a comment\n")
    assert changed_files(finished) == {"params.yaml", "README.md", "reports/tiny_news/metrics.json"}


def test_reset_names_changed_defaults(finished):
    params = finished.params()
    params["defaults"]["train"]["loop"]["seed"] = 2
    finished.write_params(params)
    ended = finished.retrain_here("reset", "tiny_sign")
    assert ended.stdout.splitlines()[-1] == (
        "params.yaml: 'defaults.train.loop.seed' still differs from the last commit, for all datasets; "
        "to restore the whole file: git checkout params.yaml"
    )


def test_reset_names_changed_rows(finished):
    raw, rows = "data/raw/tiny_sign", finished.folder / "data/raw/tiny_sign/rows.csv"
    before = rows.read_bytes()
    finished.run("git", "rm", "-q", "--cached", f"{raw}/rows.csv")
    finished.dvc("add", "-q", f"{raw}/rows.csv")
    finished.commit()
    rows.write_bytes(before + before.splitlines(keepends=True)[-1])
    finished.dvc("add", "-q", f"{raw}/rows.csv")
    last = finished.retrain_here("reset", "tiny_sign").stdout.splitlines()[-1]
    fact, _, command = last.partition("; to restore the rows too: ")
    assert fact == f"{raw}/rows.csv.dvc still differs from the last commit"
    assert finished.run("bash", "-c", command).returncode == 0
    assert rows.read_bytes() == before
    assert "rows too" not in finished.retrain_here("reset", "tiny_sign").stdout


def test_reset_without_committed_results(finished):
    finished.run("git", "rm", "-q", REPORT)
    params = finished.run("git", "show", "HEAD:dvc.lock").stdout
    assert "tiny_sign" in params
    (finished.folder / "dvc.lock").unlink()
    finished.commit()
    (finished.folder / "dvc.lock").write_text(params)
    (finished.folder / REPORT).write_text("{}")
    ended = finished.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    assert not (finished.folder / REPORT).exists()
    assert not (finished.folder / "models/tiny_sign").exists()
    assert (finished.folder / "models/tiny_news").exists()


def test_reset_without_cache_says_how_to_get_it(finished):
    shutil.rmtree(finished.folder / ".dvc/cache")
    shutil.rmtree(finished.folder / "models/tiny_sign")
    finished.set("tiny_sign.train.loop.epochs", 4)
    before = {path: path.read_bytes() for path in finished.folder.glob("reports/tiny_sign/*.*")}
    ended = finished.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 1
    assert ended.stderr.startswith(
        "Error: the committed outputs of tiny_sign are not all in DVC's cache; get them from a remote: dvc fetch"
    )
    assert finished.params()["datasets"]["tiny_sign"]["train"]["loop"]["epochs"] == 4
    assert {path: path.read_bytes() for path in before} == before


def test_reset_fills_a_lost_cache(finished):
    shutil.rmtree(finished.folder / ".dvc/cache")
    ended = finished.retrain_here("reset", "tiny_sign")
    assert ended.exit_code == 0, ended.output
    first, *_, last = ended.stdout.splitlines()
    assert first.startswith("DVC's cache had lost 'data/tiny_sign/prepared', ")
    assert last == "the outputs of tiny_sign are as in the last commit"
    shutil.rmtree(finished.folder / "models/tiny_sign")
    again = finished.retrain_here("reset", "tiny_sign")
    assert "had lost" not in again.stdout
    assert (finished.folder / "models/tiny_sign/model.json").exists()


def test_reset_of_unknown_dataset(finished):
    ended = finished.retrain_here("reset", "nope")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Error: params.yaml: datasets: unknown dataset 'nope'; known are: ")
    params = finished.params()
    params["datasets"]["nope"] = params["datasets"]["tiny_sign"]
    finished.write_params(params)
    ended = finished.retrain_here("reset", "nope")
    assert ended.stderr.startswith(
        "Error: the params.yaml of the last commit has no dataset 'nope'; commit it, or remove"
    )
