"""What is printed holds no secrets and no control characters, wherever it comes from."""

import json
from contextlib import chdir
from pathlib import Path

import prepare
from retrain import cli, schema
from retrain.commands import curves, predict, verify
from retrain.data.report_csv import write_columns
from retrain.errors import LONGEST, RetrainError, without_secrets
from retrain.pipeline import comparison
from retrain.schema import Section

import pytest
from click.testing import CliRunner
from support.model_folders import TEXTS, change, write_model

ESCAPE, BELL, CSI, OVERRIDE, SURROGATE = "\x1b[2J\x1b]0;title\x07", "\a", "\x9b31m", "\u202egnp.exe", "\ud800"
"""Clear the screen and name the window, ring, colour in one character, turn the writing around, half a character."""
HOSTILE = ESCAPE + BELL + CSI + OVERRIDE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:s3cret@host/rows.csv", "http://host/rows.csv"),
        ("'https://s3cret@host'", "'https://host'"),
        ("postgresql://user:s3/cret@host/runs", "postgresql://host/runs"),
        ("MLflow (http://user:s3cret@host:5000): is down", "MLflow (http://host:5000): is down"),
        ("https://host/rows.csv?X-Amz-Signature=s3cret&x=1, line 3", "https://host/rows.csv?..., line 3"),
        ("GET (https://host/a?token=s3cret).", "GET (https://host/a?...)."),
        ("https://host/a#access_token=s3cret", "https://host/a?..."),
        ("https://a:s3cret@one https://b:s3cret@two?k=s3cret", "https://one https://two?..."),
        ("https://host:8080/a@b.csv", "https://host:8080/a@b.csv"),
        ("is it there? mail a@b.org", "is it there? mail a@b.org"),
        ("sqlite:////root/mlflow.db", "sqlite:////root/mlflow.db"),
    ],
)
def test_urls_lose_their_secrets(text, shown):
    assert without_secrets(text) == shown
    assert str(RetrainError(text, "fact", "hint")) == f"{shown}: fact; hint"
    assert RetrainError("place", text, "hint").fact == shown


def test_secret_is_removed_before_shortening():
    uri = f"https://user:{'s3cret' * 20}@host/"
    assert schema.shortened(f"{'x' * 30} {uri} {'y' * 200}", 60) == f"{'x' * 30} https://host/ {'y' * 12}..."
    assert schema.shown(f"https://user:{'s3cret' * 20}@host/") == "'https://host/'"
    assert "s3cret" not in str(
        RetrainError("place", f"{'x' * (LONGEST - 30)} https://user:{'s3cret' * 20}@host", "end")
    )


@pytest.mark.parametrize("part", [ESCAPE, BELL, CSI, OVERRIDE, SURROGATE, "\0", "\x7f", "\u2028"])
def test_error_escapes_control_characters(part):
    said = str(RetrainError(f"a{part}b", f"c{part}d", f"e{part}f"))
    assert said.isprintable()
    assert all(letter in said for letter in "abcdef")


@pytest.mark.parametrize(
    ("fact", "line"),
    [
        ("is empty", "rows.csv is empty; hint"),
        ("can't be read", "rows.csv can't be read; hint"),
        ("has", "rows.csv has; hint"),
        ("class 'a' is rare", "rows.csv: class 'a' is rare; hint"),
        ("isolated", "rows.csv: isolated; hint"),
    ],
)
def test_error_reads_as_sentence(fact, line):
    assert str(RetrainError("rows.csv", fact, "hint")) == line


def test_error_is_one_short_line():
    said = str(RetrainError("a\nb\r\n", "c " * LONGEST * 100, "d"))
    assert "\n" not in said
    assert said.startswith("a b: c c ")
    assert said.endswith("...; d")
    assert len(said) < LONGEST + 20


def bomb(depth: int) -> list:
    """A value of YAML's that names itself twice, and so on: `a: &a [x, x]`, `b: &b [*a, *a]`, ..."""
    value: list = ["laugh", "laugh"]
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.timeout(60)
def test_recursive_value_is_shortened():
    class Parameters(Section):
        parameter: bool

    for value in (bomb(200), 16**100_000, {"a": bomb(200)}):
        with pytest.raises(RetrainError, match=r"^place.parameter is .{1,80}, but must be true or false; "):
            schema.check({"parameter": value}, Parameters, "place")


def test_hostile_rows_are_escaped_in_error(tmp_path):
    (tmp_path / "params.yaml").write_text(
        "datasets: {mine: {prepare: {source: files, repairs: [], header: true, columns: [a, b], numbers: [a], inputs: [a],"
        " target: b, rename: {}, train: {location: data/raw/mine/rows.csv, sha256: unpinned}},"
        " split: {encoder: {name: text}, task: classification}, train: {network: {name: mlp}, loss: {name: huber}}, evaluate: {}, plot: {}}}\n"
    )
    (tmp_path / "data/raw/mine").mkdir(parents=True)
    (tmp_path / "data/raw/mine/rows.csv").write_text(f"a,b\n{HOSTILE},x\n", encoding="utf-8")
    with chdir(tmp_path):
        ended = CliRunner().invoke(prepare.main, ["--dataset", "mine"])
    assert ended.exit_code == 1
    assert ended.stderr.startswith(
        r"Error: data/raw/mine/rows.csv, line 2, column 'a' holds '\x1b[2J\x1b]0;title\x07\x07"
    )
    assert ended.stderr.removesuffix("\n").isprintable()


def test_hostile_class_names_survive_escaped(tmp_path):
    change(write_model(tmp_path / "models" / "mine", "text", "classification"), "task", "learned", "classes",
           to=[HOSTILE, f"{OVERRIDE}{ESCAPE}", "mer 海 🚢 naïve"])  # fmt: skip
    with chdir(tmp_path):
        ended = CliRunner().invoke(predict.command, ["mine", TEXTS[0]], catch_exceptions=False)
    assert ended.stdout.removesuffix("\n").isprintable()
    assert '"mer 海 🚢 naïve"' in ended.stdout
    assert list(json.loads(ended.stdout)["probabilities"]) == [HOSTILE, f"{OVERRIDE}{ESCAPE}", "mer 海 🚢 naïve"]


def test_verify_report_is_printable(tmp_path):
    paths = [tmp_path / "then.csv", tmp_path / "now.csv"]
    for number, path in enumerate(paths):
        write_columns(path, {f"probability_{HOSTILE}": [float(number)]})
    finding = comparison.compare(*paths, 1e-5)
    assert ESCAPE in finding.detail
    lines = verify.table([verify.Outcome("evaluate", "reports/mine/predictions.csv", (finding,))], 1e-5)
    assert all(line.isprintable() for line in lines)
    assert r"probability_\x1b[2J" in lines[2]


@pytest.mark.parametrize("name", ['a"] title "b', "```\n<script>alert(1)</script>", "x](javascript:alert(1))"])
def test_folder_named_like_markup_is_harmless(tmp_path, name):
    folder: Path = tmp_path / "reports" / name.replace("/", "∕")  # noqa: RUF001 (a slash that a folder may have)
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("epoch,train_loss,validation_loss\n1,0.5,0.6\n2,0.4,0.5\n")
    (tmp_path / ".git").mkdir()
    with chdir(tmp_path):
        ended = CliRunner().invoke(curves.command, [], catch_exceptions=False)
    lines = ended.stdout.splitlines()
    assert [lines.index("```mermaid"), lines.index("```")] == [0, 7]
    assert lines[2].count('"') == 2
    title = lines[2].removesuffix(' loss over epochs (train, then validation)"')
    assert not set("<>`()[]\\") & set(title)


@pytest.mark.parametrize("rows", ["1,<script>,0.5\n", "1,0.5\n", "", "1,nan,0.5\n", "1,inf,0.5\n", "1,0.5,</script>\n"])
def test_history_of_text_draws_no_chart(tmp_path, rows):
    (tmp_path / "reports" / "mine").mkdir(parents=True)
    (tmp_path / "reports/mine/history.csv").write_text(f"epoch,train_loss,validation_loss\n{rows}")
    (tmp_path / ".git").mkdir()
    with chdir(tmp_path):
        ended = CliRunner().invoke(curves.command, [])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: {tmp_path}/reports/mine/history.csv")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv does not exist; check the path"),
        (PermissionError(13, "Permission denied", "a{}"), "a{} can't be opened (permission denied); check its permissions: ls -ld a{}"),
        (OSError(28, "No space left on device", ".a.csv.7.draft"), "a.csv can't be written: no space left on the disk; make room; to see where, run: df -h"),
        (OSError(28, "No space left on device"), "the disk is full (No space left on device); make room; to see which, run: df -h . ${TMPDIR:-/tmp}"),
        (FileNotFoundError(2, "No usable temporary directory"), "the system: No usable temporary directory; check the path, its permissions and the free space (df -h)"),
        (MemoryError(), "out of memory: MemoryError; raise the limit, or lower train.loop.batch_size"),
    ],
)  # fmt: skip
def test_system_errors_say_what_to_do(error, line):
    assert str(cli.as_user_error(error)) == line


def test_other_errors_are_bugs():
    assert cli.as_user_error(ValueError("a bug")) is None
