"""`retrain serve` under load, next to `mlflow models serve` with the same model and a fastText model on the same server.

`python benchmarks/serving.py` takes about five minutes, prints the tables and writes them into docs/evidence/serving.md.
`--soak 600` sends requests for ten minutes, changes the model meanwhile, and compares each answer. The model and its rows are
those of `docstrings`: run `make repro DATASET=docstrings` first. The load comes from wrk, and at a fixed rate from hey.
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import retrain
from retrain.environment import pin_cpu

import click
import pandas as pd
import psutil
import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "evidence" / "serving.md"
START, END = "<!-- written by benchmarks/serving.py -->", "<!-- end of benchmarks/serving.py -->"
DATASET = "docstrings"
BODIES = 1000
BATCH = 100
SERVERS = ("retrain", "mlflow", "fasttext")
LOADS = {"1 client": (1, 1), "8 clients": (8, 1), "32 clients": (32, 1), f"1 client, {BATCH} rows": (1, BATCH)}
"""Clients, and rows of a request."""
SCRIPT = """
local bodies, n = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
wrk.method, wrk.headers["content-type"] = "POST", "application/json"
request = function() n = n % #bodies + 1; return wrk.format(nil, nil, nil, bodies[n]) end
done = function(summary, latency, requests)
  local errors = summary.errors
  local bad = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), bad))
end
"""
SOAK_CLIENTS = 8
SWAP_SECONDS = 20


def variables():
    """The environment of the servers: without settings of this process that change their threads."""
    foreign = ("DVC_", "MLFLOW_", "OMP_", "MKL_", "ATEN_", "ONEDNN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {
        "PATH": path,
        "PYTHONPATH": str(ROOT / "src"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }


def free_port():
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, port, folder):
    """A server until the end of the block; yields its process."""
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), env=variables(), cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.2)
        else:
            raise SystemExit((folder / f"{port}.log").read_text(encoding="utf-8")[-2000:])
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


def command_of(server, folder, port):
    """The command of a server."""
    if server == "retrain":
        program = "from retrain.commands import run; run()"
        return [sys.executable, "-c", program, "serve", folder / "model", "--port", port]
    if server == "mlflow":
        options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", port]
        return [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", folder / "pyfunc", *options]
    return [HERE / ".venv" / "bin" / "python", HERE / "serving_fasttext.py", folder / "fasttext.bin", port]


def prepare(folder):
    """Write the models and the bodies of requests; returns the test texts."""
    import mlflow

    shutil.copytree(ROOT / "models" / DATASET, folder / "model", copy_function=shutil.copyfile)
    splits = {
        name: pd.read_parquet(ROOT / "data" / DATASET / "splits" / f"{name}.parquet") for name in ("train", "test")
    }
    column, target = retrain.load(folder / "model").encoder.columns[-1], splits["train"].columns[-1]
    signature = mlflow.models.infer_signature(splits["test"][[column]].head())
    mlflow.pyfunc.save_model(
        folder / "pyfunc", python_model=str(HERE / "serving_pyfunc.py"), artifacts={"model": str(folder / "model")},
        signature=signature, pip_requirements=[],
    )  # fmt: skip
    rows = {"texts": splits["train"][column].tolist(), "labels": list(map(str, splits["train"][target]))}
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    train = (
        "import json, sys, fasttext; sys.path.insert(0, sys.argv[1]); from others import SETTING, spaced\n"
        "rows = json.load(open('rows.json'))\n"
        "open('rows.txt', 'w').writelines(f'__label__{l} {spaced(t)}\\n' for t, l in zip(rows['texts'], rows['labels']))\n"
        "fasttext.train_supervised('rows.txt', thread=1, **SETTING).save_model('fasttext.bin')"
    )
    subprocess.run([HERE / ".venv" / "bin" / "python", "-c", train, HERE], cwd=folder, check=True)
    texts = splits["test"][column].tolist()
    for rows_each in (1, BATCH):
        some = [[texts[(n * rows_each + k) % len(texts)] for k in range(rows_each)] for n in range(BODIES)]
        (folder / f"bodies{rows_each}").write_text("".join(json.dumps({"inputs": one}) + "\n" for one in some))
    (folder / "load.lua").write_text(SCRIPT, encoding="utf-8")
    return texts


def wrk(folder, port, clients, rows, seconds):
    """Requests per second, and milliseconds of the median and of the 99th percentile."""
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "--latency", "-s", folder / "load.lua"]
    environment = variables() | {"BODIES": str(folder / f"bodies{rows}")}
    url = f"http://127.0.0.1:{port}/invocations"
    said = subprocess.run([*command, url], env=environment, capture_output=True, text=True, check=True).stdout
    count, micros, median, last, bad = map(int, re.search(r"RESULT (.+)", said)[1].split())
    if bad:
        raise SystemExit(f"{bad} requests failed:\n{said}")
    return count / micros * 1e6, median / 1000, last / 1000


def hey(folder, port, rate, seconds):
    """What 16 clients get at a fixed rate: requests per second, and milliseconds of the 99th percentile."""
    (folder / "one").write_text((folder / "bodies1").read_text().splitlines()[0], encoding="utf-8")
    clients = 16
    command = ["hey", "-z", f"{seconds}s", "-c", str(clients), "-q", f"{rate / clients:.3f}", "-m", "POST"]
    command += ["-T", "application/json", "-D", str(folder / "one"), f"http://127.0.0.1:{port}/invocations"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    last = re.search(r"99% in ([\d.]+) secs", said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), 1000 * float(last[1])


def memory(process):
    """Megabytes of a process and its children."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6


def cpu_seconds(process):
    """What a process and its children have used of the processor."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def measure(rounds, seconds):
    """All figures, by server and load."""
    found = {server: {load: [] for load in LOADS} for server in SERVERS}
    half, busy = [], []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        prepare(folder)
        ports = {server: free_port() for server in SERVERS}
        processes = {
            server: stack.enter_context(running(command_of(server, folder, ports[server]), ports[server], folder))
            for server in SERVERS
        }
        for server in SERVERS:
            wrk(folder, ports[server], 1, 1, 1)
        for number in range(rounds):
            for load, (clients, rows) in LOADS.items():
                for server in SERVERS:
                    before = cpu_seconds(processes[server])
                    rate, median, last = wrk(folder, ports[server], clients, rows, seconds)
                    used = 1000 * (cpu_seconds(processes[server]) - before) / (rate * seconds)
                    found[server][load].append((rate, median, last, used))
            limit = found["retrain"]["32 clients"][-1][0]
            half.append((limit, *hey(folder, ports["retrain"], limit / 2, seconds)))
            busy.append(os.getloadavg()[0])
            click.echo(f"round {number + 1} of {rounds}, load {busy[-1]:.1f}", err=True)
        sizes = {server: memory(process) for server, process in processes.items()}
    return found, half, sizes, busy


def tables(found, half, sizes, busy):
    """The tables as lines of Markdown."""
    middle = statistics.median
    names = {"retrain": "`retrain serve`", "mlflow": "`mlflow models serve`", "fasttext": "fastText, no checks"}
    yield (
        "| requests per second | "
        + " | ".join(names[server] for server in SERVERS)
        + " | times MLflow | times fastText |"
    )
    yield "|---|---|---|---|---|---|"
    for load in LOADS:
        rates = {server: [one[0] for one in found[server][load]] for server in SERVERS}
        times = [
            middle(own / other for own, other in zip(rates["retrain"], rates[server], strict=True))
            for server in ("mlflow", "fasttext")
        ]
        cells = [f"{middle(rates[server]):,.0f}" for server in SERVERS]
        yield f"| {load} | {' | '.join(cells)} | {times[0]:.1f} | {times[1]:.2f} |"
    yield ""
    yield "| milliseconds, median / 99th percentile | " + " | ".join(names[server] for server in SERVERS) + " |"
    yield "|---|---|---|---|"
    for load in LOADS:
        cells = [
            f"{middle(one[1] for one in found[server][load]):.2f} / {middle(one[2] for one in found[server][load]):.1f}"
            for server in SERVERS
        ]
        yield f"| {load} | {' | '.join(cells)} |"
    yield ""
    yield (
        "| processor milliseconds per request | "
        + " | ".join(names[server] for server in SERVERS)
        + " | MLflow / Retrain |"
    )
    yield "|---|---|---|---|---|"
    for load in LOADS:
        used = {server: middle(one[3] for one in found[server][load]) for server in SERVERS}
        cells = " | ".join(f"{used[server]:.2f}" for server in SERVERS)
        yield f"| {load} | {cells} | {used['mlflow'] / used['retrain']:.1f} |"
    yield ""
    yield "| | " + " | ".join(names[server] for server in SERVERS) + " |"
    yield "|---|---|---|---|"
    yield f"| memory in MB, at the end | {' | '.join(f'{sizes[server]:,.0f}' for server in SERVERS)} |"
    yield ""
    limit, got, last = (middle(column) for column in zip(*half, strict=True))
    yield (
        f"Half of its limit: 16 clients of hey that asked for {limit / 2:,.0f} requests per second got {got:,.0f}, with a "
        f"99th percentile of {last:.1f} ms (medians of {len(half)} rounds)."
    )
    yield ""
    yield (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {len(busy)} rounds. The load average was {min(busy):.1f} to "
        f"{max(busy):.1f}, this benchmark included."
    )


def soak(seconds):
    """Send requests of several sizes for some time, with changes of the model; each answer must be that of one model."""
    pin_cpu(1)  # before safetensors imports torch
    from safetensors.torch import load_file, save_file

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        texts = prepare(folder)
        other = load_file(folder / "model" / "model.safetensors")
        versions = [{name: tensor * factor for name, tensor in other.items()} for factor in (1.0, 0.5)]
        sizes = (1, 1, 1, 1, 7, 100, 1, 500)
        asked = [[texts[(37 * n + k) % len(texts)] for k in range(sizes[n % len(sizes)])] for n in range(400)]
        expected = {}
        for version in reversed(versions):
            save_file(version, folder / "model" / "model.safetensors")
            model = retrain.load(folder / "model")
            expected[model.sha256[:12]] = [model.predict(rows) for rows in asked]
        port = free_port()
        ends = time.monotonic() + seconds

        def client(first):
            good, bad, n = 0, [], first
            with requests.Session() as session:
                while time.monotonic() < ends:
                    n = (n + SOAK_CLIENTS) % len(asked)
                    try:
                        answer = session.post(
                            f"http://127.0.0.1:{port}/invocations", json={"inputs": asked[n]}, timeout=60
                        )
                        right = expected[answer.headers["model-sha256"]][n] == answer.json()["predictions"]
                    except (requests.RequestException, KeyError, ValueError) as error:
                        bad.append(repr(error))
                        continue
                    good += right
                    if not right:
                        bad.append("wrong")
            return good, bad

        with (
            running(command_of("retrain", folder, port), port, folder) as process,
            ThreadPoolExecutor(SOAK_CLIENTS) as pool,
        ):
            before = memory(process)
            clients = [pool.submit(client, number) for number in range(SOAK_CLIENTS)]
            swaps = 0
            while time.monotonic() + SWAP_SECONDS < ends:
                time.sleep(SWAP_SECONDS)
                draft = folder / "model" / "draft"
                swaps += 1
                save_file(versions[swaps % 2], draft)
                draft.replace(folder / "model" / "model.safetensors")
            results = [one.result() for one in clients]
            metrics = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
            done = int(re.search(r'changes_total\{result="ok"\} (\d+)', metrics)[1])
            good, bad = sum(one[0] for one in results), [fault for one in results for fault in one[1]]
            click.echo(
                f"{seconds} seconds, {SOAK_CLIENTS} clients: {good:,} requests answered right, {len(bad)} lost or wrong, "
                f"{done} changes of the model, memory {before:,.0f} to {memory(process):,.0f} MB"
            )
    if bad:
        raise SystemExit("\n".join(sorted({*bad})))


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=3, show_default=True, help="Of each run.")
@click.option(
    "--soak", "soak_seconds", type=int, help="Send requests for so many seconds instead, and compare answers."
)
@click.option("--write/--no-write", default=True, help="Write the tables into docs/evidence/serving.md.")
def main(rounds, seconds, soak_seconds, write):
    """Measure the server."""
    for program in ("wrk", "hey"):
        if not shutil.which(program):
            raise click.UsageError(f"{program} is missing; run: apt-get install wrk hey")
    if soak_seconds:
        soak(soak_seconds)
        return
    lines = "\n".join(tables(*measure(rounds, seconds)))
    click.echo(lines)
    if write:
        text = PAGE.read_text(encoding="utf-8")
        head, tail = text.split(START)[0], text.split(END)[1]
        PAGE.write_text(f"{head}{START}\n\n{lines}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
