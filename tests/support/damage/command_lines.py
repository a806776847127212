"""Command lines, rows to predict, and MLflow's store."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from support.damage.cases import (
    EITHER,
    NO_FILES,
    READ,
    REFUSED,
    USAGE,
    Case,
    changed,
    draw_for,
    flip,
    forbidden,
    half,
    no_file,
    something_else,
    without,
    written,
)
from support.damage.tables import PREDICT, SPELLINGS


def nothing(_folder: Path) -> None:
    """No damage: the command line is."""


NAMES = (
    "", "-", ".", "..", "../tiny_news", "/etc/passwd", "tiny_new", "TINY_NEWS", "tiny_news/", "tiny_news\n", "tiny news", "\x1b[2J",
    "a\nb\nc", "x" * 100_000, "é", "\ud83d", "\udcff\udcfe", "😀", "*", "$(touch harmed)", "; touch harmed", "%s%s%n", "{0}", "None",
)  # fmt: skip


STAGES = ("prepare", "split", "train", "evaluate", "plot")


def command_lines() -> Iterator[Case]:
    """Command lines that are rejected."""
    yield from names_of_datasets()
    yield from wrong_usage()
    for store in ("", "nothing", "/dev/null", "params.yaml", "x" * 5000, "\udcff", "é\n"):
        yield Case(f"retrain ui --store {store[:20]!r}", no_store, ("retrain", "ui", "--store", store), REFUSED)
    for text in ("\udcff", "a\udcfeb", "\ud800"):
        yield Case(f"predict {text!r}", nothing, ("retrain", "predict", "tiny_news", text), REFUSED)
    for text in (
        "",
        " ",
        "\x01\x02\x03",
        "\x1b[2J",
        "!" * 100_000,
        "<script>",
        "e\u0301" * 1000,
        "\u202e",
        "a" * 120_000,
        "\ufeff",
        "😀",
    ):
        for dataset in ("tiny_news", "tiny_length", "tiny_pairs"):
            yield Case(f"predict {dataset} {text[:10]!r}", nothing, ("retrain", "predict", dataset, text), READ)
    yield Case("predict numbers from a text", nothing, ("retrain", "predict", "tiny_numbers", "a"), REFUSED)


def names_of_datasets() -> Iterator[Case]:
    """Names that are of no dataset."""
    for name in NAMES:
        for stage in STAGES[:: 2 if len(name) > 3 else 1]:
            yield Case(f"{stage} --dataset {name[:20]!r}", nothing, (stage, "--dataset", name), REFUSED)
        for command, more in (("predict", ("a ship",)), ("recipe", ("recipe.yaml",)), ("repro", ())):
            yield Case(f"retrain {command} {name[:20]!r}", nothing, ("retrain", command, name, *more), REFUSED)


def wrong_usage() -> Iterator[Case]:
    """Options and arguments that there are not, too many or too few."""
    for stage in STAGES:
        for arguments in (
            (),
            ("--dataset",),
            ("tiny_news",),
            ("--data", "tiny_news"),
            ("--dataset", "tiny_news", "more"),
            ("-x",),
        ):
            yield Case(f"{stage} {' '.join(arguments)}", nothing, (stage, *arguments), USAGE)
    for arguments in (
        ("other",), ("--other",), ("predict",), ("predict", "tiny_news", "a", "--file", "b.txt"), ("predict", "tiny_news", "--file"),
        ("recipe",), ("recipe", "tiny_news"), ("recipe", "a", "b", "c"), ("repro", "a", "b"), ("curves", "a"), ("ui", "a"),
        *(("ui", "--port", port) for port in ("0", "-1", "65536", "x", "", "1e3", "9" * 500, "80 80", "0x50")),
    ):  # fmt: skip
        yield Case(f"retrain {' '.join(arguments)[:60]}", nothing, ("retrain", *arguments), USAGE)


def no_store(folder: Path) -> None:
    """The project without its MLflow store."""
    without(folder / "mlflow.db")


def rows_to_predict() -> Iterator[Case]:
    """Files and standard input with rows to predict."""
    for name in (
        "rows.txt",
        "rows.CSV",
        "rows.pdf",
        "rows",
        ".csv",
        "rows.csv.gz",
        "a\nb.csv",
        "x" * 300 + ".csv",
        "..",
        "/",
        "-",
    ):
        yield Case(f"predict --file {name[:20]!r}, missing", nothing, (*PREDICT, name), REFUSED)
    lines = b"a ship\na cow\n"
    for what, content, codes in (
        ("Latin-1", lines + b"caf\xe9\n", REFUSED),
        ("UTF-16", lines.decode().encode("utf-16"), REFUSED),
        ("binary", draw_for("binary").randbytes(10_000), REFUSED),
        ("a line of 100 MB", lines + b"x" * 100_000_000, EITHER),
        ("nothing", b"", READ),
        ("blank lines", b"\n\r\n \n", READ),
        ("NUL", lines + b"\x00\x00\n", READ),
        ("control characters", bytes(range(1, 32)) + b"\n", READ),
        ("no line end", lines + b"a", READ),
    ):
        yield Case(f"predict --file rows.txt: {what}", written("rows.txt", content), (*PREDICT, "rows.txt"), codes)
        command = ("retrain", "predict", "tiny_news")
        yield Case(f"predict from standard input: {what}", written("rows.txt", content), command, codes, "rows.txt")
    yield from no_file("rows.txt", (*PREDICT, "rows.txt"))
    numbers = ("retrain", "predict", "tiny_numbers", "--file", "rows.csv")
    for value in (*SPELLINGS, "", " ", "1e9", "1e149"):
        damage = written("rows.csv", f'a,b,c\n1,2,3\n4,"{value}",6\n'.encode())
        yield Case(f"predict --file rows.csv: {value[:20]!r}", damage, numbers, REFUSED)


def stores() -> Iterator[Case]:
    """MLflow's store, met by the stages that record a result, which it never stops, and by the command that shows it."""
    warning = r"Warning: .*mlflow\.db"
    for command in (("evaluate", "--dataset", "tiny_news"), ("train", "--dataset", "tiny_news")):
        for what, content in {
            "text": b"text",
            "zeros": bytes(8192),
            "random": draw_for("store").randbytes(8192),
        }.items():
            yield Case(f"mlflow.db: {what}, {command[0]}", written("mlflow.db", content), command, READ, says=warning)
        yield Case(f"mlflow.db: half of it, {command[0]}", changed("mlflow.db", half), command, READ, says=warning)
        for what in ("a folder", "a pipe", "a link to itself", "an endless device", "a socket"):
            yield Case(
                f"mlflow.db is {what}, {command[0]}",
                something_else("mlflow.db", NO_FILES[what]),
                command,
                READ,
                says=warning,
            )
        yield Case(f"mlflow.db is forbidden, {command[0]}", forbidden("mlflow.db"), command, READ, says=warning)
        yield Case(f"mlflow.db is empty, {command[0]}", written("mlflow.db", b""), command, EITHER)
        no_folder = something_else(".retrain", Path.touch)
        if command[0] == "train":  # its checkpoints go there
            yield Case(".retrain is a file, train", no_folder, command, REFUSED)
        else:
            yield Case(f".retrain is a file, {command[0]}", no_folder, command, READ, says="Warning: MLflow: ")
        for number in range(8):
            draw = draw_for("store", number)
            yield Case(
                f"mlflow.db: flip {number}, {command[0]}", changed("mlflow.db", partial(flip, draw)), command, EITHER
            )
    for content in (b"text", bytes(8192)):
        yield Case(
            f"mlflow.db: {content[:4]!r}, ui", written("mlflow.db", content), ("retrain", "ui", "--port", "1"), REFUSED
        )
