"""Calibrate the weights of the best epoch on the validation rows."""

from retrain import cli
from retrain.models import calibration
from retrain.models.calibration import Calibration, CalibrationOptions
from retrain.training.setup import Training

__all__ = ["calibrated"]


def calibrated(training: Training, options: CalibrationOptions, where: str) -> Calibration:
    """What the validation rows say about the outputs of the best epoch; warns of what they can't say.

    Args:
        training: a training that is over; its network gets the weights of the best epoch.
        options: what is asked for.
        where: the path of the train section, for the warning.
    """
    from retrain.training.loop import outputs_for

    network = training.state.evaluated
    network.load_state_dict(training.history.best.weights)
    outputs, targets = outputs_for(network, training.data.validation, training.config)
    task, by_members = training.data.task, "folds" in training.data.encoding.split
    found = calibration.fit(outputs, targets, task, options, by_members=by_members)
    if unmet := found.unmet(options, task.to_json().get("classes")):
        cli.warn(f"{where}.calibration: {unmet}")
    return found
