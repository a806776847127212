"""What can make a result differ: changed libraries, inputs and parameters, and the arithmetic of this machine.

dvc.lock records the digest of requirements.lock, the inputs, and the parameters with threads and device. It does not
record the processor and the Python version, because results contain no machine details; so only the current ones are known.
"""

import os
import platform
from collections.abc import Collection, Iterator

from retrain import requirements
from retrain.pipeline import dvc_lock
from retrain.pipeline.dvc_lock import Lock, LockedStage

__all__ = ["gpus", "machine", "other_libraries", "pinned", "possible_causes", "processor"]


ARITHMETIC = ("ATEN_", "CUBLAS_", "CUDA_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH_")
"""Prefixes of environment variables that change the arithmetic of libraries."""
PROMISED = ("AVX2", "AVX512")
"""CPU capabilities, as torch names them, for which identical bytes are promised."""


def possible_causes(then: Lock, now: Lock, texts: dict[str, str]) -> list[tuple[str, str]]:
    """What changed since the results were made, as a subject and a sentence.

    Args:
        then: the dvc.lock with the results.
        now: the one after running everything again.
        texts: those of requirements.lock, by their digests.
    """
    own = [texts[digest] for digest in sorted(pinned(then)) if digest in texts]
    found = [("libraries", line) for line in dict.fromkeys(line for text in own for line in other_libraries(text))]
    made = {**then.outputs(), **now.outputs()}
    for name in [name for name in then.stages if name in now.stages]:
        pair = (without_inputs(lock.stages[name], made) for lock in (then, now))
        found += [change for change in dvc_lock.stage_differences(*pair) if change[0] != "outputs"]
    return list(dict.fromkeys(found))


def without_inputs(stage: LockedStage, paths: Collection[str]) -> LockedStage:
    """A stage without some of its dependencies."""
    return stage.model_copy(update={"deps": tuple(entry for entry in stage.deps if entry.path not in paths)})


def pinned(lock: Lock) -> set[str]:
    """The digests of the requirements.lock that results were made with: one, unless stages ran at different times."""
    return {entry.md5 for stage in lock.stages.values() for entry in stage.deps if entry.path == requirements.FILE}


def other_libraries(text: str) -> Iterator[str]:
    """Installed libraries whose version is not the one of a requirements.lock."""
    for name, pinned_version, installed in requirements.others(text):
        yield f"{name} was pinned to {pinned_version}, {installed or 'none'} is installed"


def machine(now: Lock) -> list[tuple[str, str]]:
    """What arithmetic depends on here, as a subject and a sentence."""
    parameters = {name: section for stage in now.stages.values() for name, section in stage.parameters().items()}
    shared = parameters.get("defaults.train", {})
    trained = {
        path.split(".")[1]: {**shared, **section}
        for path, section in parameters.items()
        if path.startswith("datasets.") and path.endswith(".train")
    }
    found = [("python", f"{platform.python_version()} on {platform.system()}"), ("processor", processor())]
    found += [("training", f"{name}: device {of['device']}, threads {of['threads']}") for name, of in trained.items()]
    found += [("gpu", name) for name in gpus() if any(section["device"] != "cpu" for section in trained.values())]
    found += [
        ("variables", f"{name}={value}") for name, value in sorted(os.environ.items()) if name.startswith(ARITHMETIC)
    ]
    return found


def gpus() -> list[str]:
    """The names of the GPUs that CUDA finds."""
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def processor() -> str:
    """The kind of processor, and the instructions that torch and numpy find on it."""
    import numpy as np
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    text = f"{platform.machine()}; torch finds {capability}, numpy uses {', '.join(found) or 'no extension'}"
    if capability in PROMISED:
        return text
    return f"{text}; identical bytes are promised only on x86-64 with AVX2"
