"""Train: encoded examples become a model.

Reads `datasets.<name>.train`. Writes `models/<name>/` (`model.safetensors` and `model.json`) with the weights of the best
epoch on the validation split, if asked for blended with linear models, and `reports/<name>/history.csv`. An interrupted
training continues from its checkpoint in `.retrain/checkpoints/`.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from retrain import cli, environment, files, params, processes
from retrain.data.report_csv import write_rows
from retrain.errors import RetrainError
from retrain.models import description
from retrain.models.description import Description
from retrain.models.result import Result
from retrain.tracking import recording
from retrain.tracking.recording import Recording
from retrain.training.calibrating import calibrated
from retrain.training.history import history_row
from retrain.training.progress import epoch_line, progress, write
from retrain.training.resume import fingerprint, restored
from retrain.training.setup import Train, Training, build, describe, read_data

import click

if TYPE_CHECKING:
    from retrain.training.checkpoint import Checkpoint
    from retrain.training.loop import EpochResult


def run_epochs(training: Training, run: Recording, checkpoint: "Checkpoint", save_seconds: float, where: str) -> None:
    """Train until the last epoch is complete, or until `patience` epochs brought no better one.

    The state is saved after each epoch, and within an epoch every `save_seconds`.

    Raises:
        RetrainError: the loss is not finite, or a checkpoint can't be written.
        SystemExit: a signal interrupted the training; its state is saved.
    """
    from retrain.training.loop import NotFiniteError, train_epochs

    for row in training.history.rows:
        run.epoch(row)
    saved = time.monotonic()
    steps = train_epochs(training.state, training.data.train, training.data.validation, training.config)
    try:
        with progress(training) as bar, cli.patient_signals() as interruption:
            while not training.is_over and not interruption.number:
                epoch = next(steps)
                if epoch is None:
                    bar.update()
                else:
                    run.epoch(finish_epoch(training, epoch))
                    write(bar, epoch_line(training))
                if epoch or interruption.number or time.monotonic() - saved >= save_seconds:
                    interruption.saving = True
                    checkpoint.save(training.state_dict())
                    interruption.saving, saved = False, time.monotonic()
    except NotFiniteError as error:
        checkpoint.remove()  # a continued training would end in the same way
        hint = f"lower learning_rate (now {training.state.optimizer.defaults['lr']:g}), or set or lower clip_norm"
        raise RetrainError(f"{where}.loop", f"training diverged: {error}", hint) from None
    if interruption.number:
        cli.leave(interruption.number, None)


def finish_epoch(training: Training, epoch: "EpochResult") -> dict[str, float]:
    """Add an epoch to the history and return its row; if it is the best one so far, keep its weights."""
    row = history_row(epoch, training.data.task)
    training.history.add(row, training.score(row), training.state.evaluated)
    return row


def write_result(result: Result, training: Training, described: Description, parameters: Train, where: str) -> None:
    """Write the model and the history, both or neither, and flush them to the disk."""
    from retrain.models.weights import save_weights

    best = training.history.best
    learned = {"best_epoch": best.epoch, "calibration": calibrated(training, parameters.calibration, where)}
    with files.replacing(result.model, result.history) as (model, history):
        model.mkdir()
        save_weights(model / description.WEIGHTS, best.weights, parameters.saved_dtype, where)
        trained = described.model_copy(update=learned)
        files.write_json(model / description.FILE, trained.model_dump(mode="json"))
        write_rows(history, training.history.rows)
    files.flush(result.model, result.history)


@cli.stage
@click.option(
    "--save-seconds", type=cli.SECONDS, default=60.0, show_default=True, envvar="RETRAIN_SAVE_SECONDS", show_envvar=True,
    help="Seconds between two checkpoints within an epoch.",
)  # fmt: skip
def main(dataset: str, save_seconds: float) -> None:
    """Train a model and write it to models/NAME/. An interrupted training continues."""
    started_by = processes.parent_processes()
    where = params.section_path(dataset, "train")
    parameters = params.read(environment.workspace(), dataset, "train", Train)
    recording.start()
    environment.pin_cpu(parameters.threads)  # before torch is imported
    from retrain.training.blending import blend
    from retrain.training.checkpoint import open_checkpoint

    data = read_data(Path("data", dataset, "examples"))
    training = build(parameters, data, where)
    described = describe(dataset, parameters, data)
    result = Result(dataset, Path(), ("train",))
    say = cli.stage_message("train", dataset)
    with (
        open_checkpoint(environment.root(), dataset, fingerprint(described), started_by, say) as checkpoint,
        recording.training(described, checkpoint.digest) as run,
    ):
        training = restored(checkpoint, training, lambda: build(parameters, data, where), say)
        run_epochs(training, run, checkpoint, save_seconds, where)
        cli.require_unchanged()  # while the checkpoint is there: after an edit that is taken back, nothing is lost
        if parameters.network.get("blend"):
            described = described.model_copy(update={"linear_share": blend(training)})
        write_result(result, training, described, parameters, where)
        checkpoint.finish(say)
        run.result(result)
    share = described.linear_share
    blended = "" if share is None else f"; linear models have {share:.0%} of the outputs"
    click.echo(f"train {dataset}: {training.summary}{blended}")


if __name__ == "__main__":
    cli.run(main)
