"""What can make a result differ: changed libraries, inputs and parameters, and the arithmetic of this machine.

dvc.lock records the digest of requirements.lock, the inputs, and the parameters with threads and device. It does not
record the processor and the Python version, because results contain no machine details; so only the current ones are known.
"""

import os
import platform
import re
from collections.abc import Collection, Iterator
from importlib import metadata

from retrain.pipeline import dvc_lock
from retrain.pipeline.dvc_lock import Lock, LockedStage

__all__ = [
    "REQUIREMENTS",
    "gpus",
    "installed_version",
    "machine",
    "other_libraries",
    "pinned",
    "possible_causes",
    "processor",
]


REQUIREMENTS = "requirements.lock"
ARITHMETIC = ("ATEN_", "CUBLAS_", "CUDA_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH_")
"""Prefixes of environment variables that change the arithmetic of libraries."""
PIN = re.compile(r"^([\w.-]+)==([^\s;#]+)[ ]*(;?)", re.MULTILINE)
"""A line of requirements.lock: the library, its version, and whether it is for some platforms only."""
PROMISED = ("AVX2", "AVX512")
"""CPU capabilities, as torch names them, for which identical bytes are promised."""


def possible_causes(then: Lock, now: Lock, requirements: dict[str, str]) -> list[tuple[str, str]]:
    """What changed since the results were made, as a subject and a sentence.

    Args:
        then: the dvc.lock with the results.
        now: the one after running everything again.
        requirements: texts of requirements.lock, by their digests.
    """
    texts = [requirements[digest] for digest in sorted(pinned(then)) if digest in requirements]
    found = [("libraries", line) for line in dict.fromkeys(line for text in texts for line in other_libraries(text))]
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
    return {entry.md5 for stage in lock.stages.values() for entry in stage.deps if entry.path == REQUIREMENTS}


def other_libraries(requirements: str) -> Iterator[str]:
    """Installed libraries whose version is not the pinned one; a build such as `2.13.0+cpu` counts as 2.13.0."""
    for name, version, marker in PIN.findall(requirements):
        installed = installed_version(name)
        if installed.partition("+")[0] != version and (installed or not marker):
            yield f"{name} was pinned to {version}, {installed or 'none'} is installed"


def installed_version(library: str) -> str:
    """The installed version, or nothing if there is none."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


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
