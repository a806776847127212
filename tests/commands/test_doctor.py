"""`retrain doctor` prints what the project runs with."""

from support.project import Project, write_yaml

SUBJECTS = ["retrain", "python", "libraries", "processor", "gpu", "disk", "git", "mlflow", "dvc", "data"]


def test_doctor_prints_ten_lines(project):
    ended = project.retrain_here("doctor")
    assert ended.exit_code == 0, ended.output
    lines = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert list(lines) == SUBJECTS
    assert "torch 2." in lines["libraries"]
    assert "as in requirements.lock" in lines["libraries"]
    assert "no remote" in lines["dvc"]
    assert "tiny_news is available" in lines["data"]


def test_doctor_without_git(tmp_path):
    project = Project(tmp_path)
    location = {"location": "https://example.org/rows.csv", "sha256": "0" * 64}
    write_yaml(tmp_path / "params.yaml", {"datasets": {"mine": {"prepare": {"train": location}}}})
    (tmp_path / "requirements.lock").write_text("click==0.1\n")
    (tmp_path / "dvc.yaml").touch()
    ended = project.retrain_here("doctor", MLFLOW_TRACKING_URI="https://user:s3cret@host")
    assert ended.exit_code == 0, ended.output
    assert "s3cret" not in ended.stdout
    assert "https://host" in ended.stdout
    assert "click was pinned to 0.1" in ended.stdout
    assert "not a git repository" in ended.stdout
    assert "mine needs a download" in ended.stdout


def test_doctor_names_a_damaged_store(project):
    (project.folder / "mlflow.db").write_text("hello\n")
    lines = project.retrain_here("doctor").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("mlflow ")]
    assert line.endswith(
        "MLflow (mlflow.db) does not work (file is not a database); move mlflow.db away; the next run makes a new one"
    )
    assert (project.folder / "mlflow.db").read_text() == "hello\n"


def test_doctor_names_missing_files(tmp_path):
    files = {"gone": "~/none/rows.csv", "here": "rows.csv", "nobody": "~no_such_user/rows.csv"}
    blocks = {name: {"prepare": {"train": {"location": location}}} for name, location in files.items()}
    write_yaml(tmp_path / "params.yaml", {"datasets": blocks})
    (tmp_path / "rows.csv").touch()
    (tmp_path / "data" / "gone" / "prepared").mkdir(parents=True)  # from before the file was lost
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "requirements.lock").touch()
    data = Project(tmp_path).retrain_here("doctor").stdout.splitlines()[-1]
    assert data.split(maxsplit=1)[1] == (
        "gone lacks ~/none/rows.csv, here is available, nobody lacks ~no_such_user/rows.csv"
    )
    for content, fact in {"datasets:\n": " has no dataset", "datasets: {\n": ", line 2, column 1 is not"}.items():
        (tmp_path / "params.yaml").write_text(content)
        ended = Project(tmp_path).retrain_here("doctor")
        assert ended.exit_code == 0, ended.output
        assert ended.stdout.splitlines()[-1].startswith(f"data        params.yaml{fact}")
