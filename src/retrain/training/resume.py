"""What a checkpoint must match, and how a training continues from one."""

import platform
from collections.abc import Callable
from typing import TYPE_CHECKING

from retrain import environment
from retrain.errors import lack_of_memory
from retrain.models.description import Description
from retrain.training.setup import Training

if TYPE_CHECKING:
    from retrain.training.checkpoint import Checkpoint, Fingerprint, Say

__all__ = ["fingerprint", "restored"]


def restored(checkpoint: "Checkpoint", training: Training, rebuild: Callable[[], Training], say: "Say") -> Training:
    """Continue from a checkpoint.

    Args:
        checkpoint: the checkpoint; nothing may be saved yet.
        training: the training at its start.
        rebuild: builds it again, for a checkpoint that turns out to be damaged while it is loaded.
        say: prints a line.
    """
    from retrain.training.checkpoint import DamagedError

    try:
        saved = checkpoint.load()
        if saved is None:
            return training
        training.load_state_dict(saved)
    except (DamagedError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        if lack_of_memory(error):
            raise
        reason = error if isinstance(error, DamagedError) else "is damaged"
        say(f"the checkpoint of an unfinished training {reason}: starting from the beginning")
        return rebuild()
    state = training.state
    batch = f" and {state.batch} batches" if state.batch else ""
    say(f"continuing after epoch {state.epoch} of {training.config.epochs}{batch}")
    return training


def fingerprint(description: Description) -> "Fingerprint":
    """Everything that a training depends on."""
    from retrain import devices

    return {
        "parameters": description.train.model_dump(mode="json"),
        "data": description.data_sha256,
        "code": environment.loaded_code(),
        "libraries": environment.versions("torch", "numpy"),
        "hardware": {"processor": platform.machine(), "device": devices.name(description.train.device)},
    }
