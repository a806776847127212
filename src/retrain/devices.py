"""Where the arithmetic happens."""

from retrain.errors import RetrainError

import torch


def ready(name: str, threads: int, where: str) -> torch.device:
    """Prepare a device for reproducible work and return it.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, `mps`.
        threads: how many threads the CPU's operators use; `environment.pin_cpu` has had the same number.
        where: the section of the parameter, for the error.

    Raises:
        RetrainError: torch does not know the device, or this machine does not have it.
    """
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # what use_deterministic_algorithms sets, without loading the compiler
    torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # else Adagrad warns
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        fact = f"device '{name}' can't be used ({str(error).splitlines()[0]})"
        raise RetrainError(f"{where}.device", fact, "set it to cpu") from None
    return device


def name(device: str) -> str:
    """What a device is called by its maker; of the CPU its kind of instructions, since the work is the same on all."""
    kind = torch.device(device)
    return (
        torch.backends.cpu.get_cpu_capability()
        if kind.type == "cpu"
        else torch.get_device_module(kind).get_device_name(kind)
    )


def seed(device: torch.device, number: int) -> None:
    """Seed the generator that a device's random operators draw from.

    `torch.manual_seed` would seed those of all devices, which takes two hundred times as long where there is no GPU.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.get_device_module(device).manual_seed(number)
