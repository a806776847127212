"""`retrain demote`: puts the previous champion back into use."""

from retrain import cli, environment
from retrain.release import champions, ledger
from retrain.tracking import store

import click

__all__ = ["command"]


@click.command(epilog=cli.examples("retrain demote reviews --reason 'wrong on short texts'"))
@click.argument("dataset")
@click.option("--reason", metavar="TEXT", required=True, help="Why; it is recorded.")
@cli.one_line_errors
def command(dataset: str, reason: str) -> None:
    """Put the previous champion back into use.

    models:/DATASET@champion is then the model that was in use before the current one; servers that serve it switch to it.
    Writes the change and the reason into releases/DATASET.jsonl, which belongs in git.
    """
    workspace, client = environment.workspace(), store.connect()
    champions.demote(client, workspace, dataset, reason)
    version = champions.align(client, workspace, dataset)
    now = f"models:/{dataset}@champion is version {version.version}" if version else f"{dataset} has no champion now"
    click.echo(f"demoted: {now}")
    click.echo(f"to keep this in git: git add {ledger.path_of(dataset)} && git commit -m 'Demote {dataset}'")
