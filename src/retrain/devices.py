"""The device that a model is trained on."""

import re

from retrain.errors import RetrainError

import torch

__all__ = ["name", "ready", "seed"]


def ready(name: str, threads: int, where: str) -> torch.device:
    """Prepare a device for reproducible results, and return it.

    Args:
        name: `cpu`, `cuda`, or `cuda:1` and so on.
        threads: the number of threads of CPU operators; `environment.pin_cpu` had the same number.
        where: the section of the parameter, for the error.

    Raises:
        RetrainError: the device is not supported, or this machine does not have it.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RetrainError(f"{where}.device", f"device '{name}' is not supported", "set it to cpu, cuda or cuda:1")
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # what use_deterministic_algorithms sets, without loading the compiler
    torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # otherwise Adagrad warns
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        fact = f"device '{name}' can't be used ({str(error).splitlines()[0]})"
        raise RetrainError(f"{where}.device", fact, "set it to cpu") from None
    return device


def name(device: str) -> str:
    """The name of a device; for the CPU its instruction set, since only that can change results."""
    kind = torch.device(device)
    return torch.backends.cpu.get_cpu_capability() if kind.type == "cpu" else torch.cuda.get_device_name(kind)


def seed(device: torch.device, number: int) -> None:
    """Seed the random generator of a device.

    `torch.manual_seed` would seed the generators of all devices, which is 200 times slower on a machine without a GPU.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)
