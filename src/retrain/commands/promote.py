"""`retrain promote`: proposes a model, asks the gate, and puts the model into use if it passes."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from retrain import cli, environment
from retrain.commands.gate import CODES, Shown, warn_of_former
from retrain.evaluation.noninferiority import PASS
from retrain.release import champions, gate, ledger
from retrain.tracking import registry, store

import click

__all__ = ["command"]


@click.command(
    epilog=cli.examples("retrain promote reviews", "retrain promote reviews --override 'first model, checked by hand'")
)
@click.argument("dataset")
@click.option(
    "--override", metavar="REASON", default="", help="Promote although the gate does not pass. The reason is recorded."
)
@cli.one_line_errors
def command(dataset: str, override: str) -> None:
    """Put a model into use, if the gate passes.

    Asks the gate (see retrain gate) about the committed result of DATASET, and registers it in MLflow as
    models:/DATASET@challenger: a model that answers raw rows, with its metrics, report and card. If the gate passes, the
    model becomes models:/DATASET@champion. The outcome and its evidence are written into releases/DATASET.jsonl, which belongs in git.

    Exit codes are those of retrain gate. Safe to repeat.
    """
    workspace = environment.workspace()
    with TemporaryDirectory(prefix="retrain-promote-") as copies:
        candidate, other, limits, pipeline = gate.subjects(workspace, dataset, None, Path(copies))
        proposal = champions.proposed(candidate, workspace, pipeline)
        client = store.connect()  # what can fail comes before the gate, because each answer is a use of the test rows
        if other is None:
            warn_of_former(workspace)
        decision = gate.decide(workspace, candidate, other, limits)
        if proposal.is_champion:
            version = champions.align(client, workspace, dataset)
            click.echo(f"{dataset}: this model is the champion already, version {version.version if version else '?'}")
            return
        champions.align(client, workspace, dataset, proposal)
        click.echo(next(Shown(dataset, other.shown if other else "", decision, markdown=False).lines()))
        if reserved := champions.reservation(proposal, decision):
            click.echo(f"but {reserved}")
        promoted = champions.record(client, proposal, decision, override)
        version = champions.align(client, workspace, dataset, None if promoted else proposal)
    if promoted and version:
        reason = f" by override ({override})" if override and (reserved or decision.answer != PASS) else ""
        click.echo(f"promoted{reason}: models:/{dataset}@champion is version {version.version}")
    else:
        click.echo(
            f"not promoted: the model stays models:/{dataset}@{registry.CHALLENGER}; to promote it all the same: --override REASON"
        )
    done = "Promote" if promoted else "Record the refusal of"
    click.echo(f"to keep this in git: git add {ledger.path_of(dataset)} && git commit -m '{done} {dataset}'")
    sys.exit(0 if promoted else CODES[decision.answer] or 1)
