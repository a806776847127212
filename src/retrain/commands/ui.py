"""`retrain ui`: opens MLflow's web interface on this machine only."""

import os
import socket
import sys
from pathlib import Path

from retrain import cli, environment
from retrain.errors import RetrainError
from retrain.pipeline import dvc_lock
from retrain.tracking import runs
from retrain.tracking.store import own_store

import click

__all__ = ["command"]


HOST = "127.0.0.1"
PAGE = "#/experiments?workflowType=machine_learning"  # the pages for trained models, not those for chats


@click.command(epilog=cli.examples("retrain ui", "retrain ui --port 5001", "retrain ui --store downloaded-artifact/"))
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="A folder with mlflow.db and mlruns/, such as an artifact of CI. Default: this project.",
)
@cli.one_line_errors
def command(port: int, store: Path | None) -> None:
    """Open the runs in MLflow.

    Serves them on 127.0.0.1. The paths in a store that was moved are adapted.
    """
    elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
    if elsewhere and store is None:
        fact = f"is set, so the runs are in {elsewhere}"
        raise RetrainError("MLFLOW_TRACKING_URI", fact, "open that address, or run: unset MLFLOW_TRACKING_URI")
    folder = (store or environment.root()).resolve()
    if not (folder / "mlflow.db").exists():
        recorded = store is None and dvc_lock.read(environment.workspace()).outputs()
        hint = "run: retrain sync, which records the results that are there" if recorded else "run: make repro"
        raise RetrainError(str(folder), "has no runs yet (there is no mlflow.db)", hint)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            hint = "use another one above 1023, such as: make ui PORT=5001"
            raise RetrainError(f"port {port}", f"can't be used ({error.strerror})", hint) from None
    uri = own_store(folder)
    click.echo(f"open http://{HOST}:{port}/{PAGE} as soon as it is up (end with Ctrl-C), or the runs of one dataset:")
    for dataset, page in runs.pages(uri).items():
        click.echo(f"  {dataset}: http://{HOST}:{port}/{page}")
    server = ["-m", "mlflow", "server", "--backend-store-uri", uri, "--registry-store-uri", uri]
    server += ["--default-artifact-root", (folder / "mlruns").as_uri()]
    options = ["--host", HOST, "--port", str(port), "--workers", "1"]
    # MLflow's default accepts all of `10.*`, a host name that anyone can register for an address of this machine.
    allowed = ["--allowed-hosts", ",".join(f"{name}:{port}" for name in (HOST, "localhost"))]
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # eight more processes, for language models
    warnings = [os.environ.get("PYTHONWARNINGS", ""), "ignore:starlette.middleware.wsgi is deprecated"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, warnings))
    os.execv(sys.executable, [sys.executable, *server, *options, *allowed])
