"""`retrain serve`: answers over HTTP, by MLflow's scoring protocol."""

import ipaddress
import time

from retrain import cli, environment
from retrain.errors import printable
from retrain.release import finding

import click

__all__ = ["command"]


@click.command(
    epilog=cli.examples(
        "retrain serve docstrings",
        "retrain serve models/docstrings --port 0",
        "retrain serve models:/docstrings@champion",
        "curl -H 'content-type: application/json' -d '{\"inputs\": [\"a text\"]}' 127.0.0.1:5001/invocations",
    )
)
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is all.")
@click.option(
    "--port", default=5001, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 takes a free one."
)
@click.option(
    "--max-body", default=10, show_default=True, type=click.IntRange(1, 1024), help="Megabytes of a request's body."
)
@click.option("--max-rows", default=10_000, show_default=True, type=click.IntRange(1), help="Rows of a request.")
@click.option(
    "--timeout",
    default=10,
    show_default=True,
    type=click.IntRange(1, 3600),
    help="Seconds for a client to send a request or to take an answer, and for a large request to wait.",
)
@click.option(
    "--max-queue", default=64, show_default=True, type=click.IntRange(0), help="Large requests that may wait."
)
@click.option("--access-log", is_flag=True, help="Print a line per request: path, status and milliseconds.")
@cli.one_line_errors
def command(  # noqa: PLR0913 (one argument per option)
    model: str, host: str, port: int, *, max_body: int, max_rows: int, timeout: int, max_queue: int, access_log: bool
) -> None:  # fmt: skip
    """Serve a model over HTTP.

    MODEL is a dataset, the folder of a model, or a registered model such as models:/reviews@champion. The server answers
    rows at /invocations as `mlflow models serve` does, and has a page to try the model at /. When the model's files
    change, or the alias names another version, it changes to the new model without losing a request. It stops at Ctrl-C
    and SIGTERM, after it has answered what it has received.
    """
    workspace = environment.workspace()
    loaded = finding.load(workspace, model)  # first: it decides how torch computes
    from retrain.serving import server
    from retrain.serving.limits import Limits
    from retrain.serving.watching import Served

    limits = Limits(body_bytes=max_body << 20, rows=max_rows, seconds=timeout, queue=max_queue)
    listening = server.listen(host, port)
    if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        cli.warn("the server is open to other machines, without a password or encryption")
    server.run(Served(workspace, model, loaded), listening, limits, log, access_log=access_log)


def log(text: str) -> None:
    """Print a line with the time on standard error."""
    click.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(' '.join(text.split()))}", err=True)
