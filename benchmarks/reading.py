"""How long it takes to read, check and split a million rows of text, compared with DuckDB, which reads them and writes Parquet.

`reading.py ROWS.parquet [COUNT]` generates the rows from real ones (`generator.py`) and prints the seconds of the clock and of the
processor, the largest memory, and how many times as long as DuckDB both stages take by the clock. Encoding is left out: it
belongs to the encoder.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from retrain import yaml_files

HERE = Path(__file__).resolve().parent
TARGET = "topic"


def block():
    """The parameters of a dataset of two texts and a class."""
    prepare = {"source": "files", "repairs": [], "target": TARGET, "texts": "others"}
    prepare["train"] = {"location": "data/raw/growth/rows.csv", "sha256": "unpinned"}
    encoder = {"name": "text", "minimum_count": 2}
    split = {"validation": 0.05, "test": 0.05, "seed": 1, "task": "classification", "encoder": encoder}
    train = {"network": {"name": "embedding_bag"}, "loss": {"name": "cross_entropy"}}
    return {"prepare": prepare, "split": split, "train": train, "evaluate": {}, "plot": {}}


def by_duckdb():
    """Read the rows and write Parquet, on two threads like prepare."""
    import duckdb

    with duckdb.connect(config={"threads": 2}) as connection:
        rows = "select * from read_csv('data/raw/growth/rows.csv', all_varchar=true)"
        connection.execute(f"copy ({rows}) to 'rows.parquet' (format parquet, compression zstd)")


def by_prepare():
    """The stage prepare."""
    import prepare

    prepare.main(["--dataset", "growth"], standalone_mode=False)


def by_split():
    """The stage split without its encoder."""
    import split
    from retrain.data import splitting
    from retrain.data.encoders.text import Encoder
    from retrain.data.prepared_file import read_prepared
    from retrain.data.splitting import Split

    rows = read_prepared(Path("data/growth/prepared")).rows
    contents = Encoder.contents(rows.iloc[:, :-1])
    parts = splitting.split(rows, contents, None, Split.model_validate(block()["split"]))
    split.write_tables(Path("splits"), parts, None)


def main(real, count):
    """Time each in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = folder / "data" / "raw" / "growth" / "rows.csv"
        rows.parent.mkdir(parents=True)
        (folder / ".git").mkdir()
        subprocess.run([sys.executable, HERE / "generator.py", real, str(count), rows], check=True)
        with (folder / "params.yaml").open("w", encoding="utf-8") as file:
            yaml_files.round_trip().dump({"datasets": {"growth": block()}}, file)
        took = {}
        for name in STEPS:
            begin = time.perf_counter()
            subprocess.run([sys.executable, Path(__file__).resolve(), name], cwd=folder, check=True)
            took[name] = time.perf_counter() - begin
        print(f"prepare and split: {(took['prepare'] + took['split']) / took['duckdb']:.1f} times as long as DuckDB")


def timed(name):
    """Take a step in this process, and print what it took, with the start of the interpreter."""
    sys.path.insert(0, str(HERE.parent / "src"))
    STEPS[name]()
    used = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    processor, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 2**20
    print(f"{name:8} {time.perf_counter() - BEGIN:6.1f} s, {processor:6.1f} s of CPU, {memory:6,.0f} MiB")


STEPS = {"duckdb": by_duckdb, "prepare": by_prepare, "split": by_split}
BEGIN = time.perf_counter()

if __name__ == "__main__":
    if sys.argv[1] in STEPS:
        timed(sys.argv[1])
    else:
        main(Path(sys.argv[1]).resolve(), int((sys.argv[2:] or [1_000_000])[0]))
