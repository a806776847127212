"""What can make a result differ: libraries, inputs and parameters that are others now, and this machine's arithmetic.

What a result was made with stands in dvc.lock: the digest of requirements.lock, the inputs, the parameters with threads and
device among them. Processor and Python of then are recorded nowhere, since results hold nothing of a machine; so those
of now are told.
"""

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from retrain.pipeline import dvc_lock
from retrain.pipeline.dvc_lock import Lock

REQUIREMENTS = "requirements.lock"
ARITHMETIC = ("ATEN_", "CUBLAS_", "CUDA_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH_")
"""Beginnings of the names of environment variables that arithmetic libraries read."""
PIN = re.compile(r"^([\w.-]+)==([^\s;#]+)[ ]*(;?)", re.MULTILINE)
"""A line of requirements.lock: the library, its version, and whether it is for some platforms alone."""
PROMISED = ("AVX2", "AVX512")
"""What torch finds on the processors on which the same bytes are promised."""


def differences(then: Lock, now: Lock, requirements: dict[str, str]) -> list[tuple[str, str]]:
    """What is known to be other than it was when the results were made, as a subject and a sentence.

    Args:
        then: the dvc.lock that has the results.
        now: the one that running everything again has left.
        requirements: texts of requirements.lock, by their digests.
    """
    texts = [requirements[digest] for digest in sorted(pinned(then)) if digest in requirements]
    found = [("libraries", line) for line in dict.fromkeys(line for text in texts for line in other_libraries(text))]
    found += [("inputs", f"{path} changed after dvc.lock was written") for path in dvc_lock.changed_files(then, now)]
    found += [("parameters", change) for change in dvc_lock.changed_parameters(then, now)]
    return found


def pinned(lock: Lock) -> set[str]:
    """The digests of the requirements.lock that results were made with: one, unless stages ran at different times."""
    return {entry.md5 for stage in lock.stages.values() for entry in stage.deps if entry.path == REQUIREMENTS}


def other_libraries(requirements: str) -> Iterator[str]:
    """Installed libraries that are not of the pinned version; a build such as `2.13.0+cpu` is one of 2.13.0."""
    for name, version, marker in PIN.findall(requirements):
        installed = installed_version(name)
        if installed.partition("+")[0] != version and (installed or not marker):
            yield f"{name} was pinned to {version}, {installed or 'none'} is installed"


def installed_version(library: str) -> str:
    """The installed version, or nothing where there is none."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def circumstances(now: Lock) -> list[tuple[str, str]]:
    """What the arithmetic of now depends on, as a subject and a sentence."""
    parameters = {name: section for stage in now.stages.values() for name, section in stage.parameters().items()}
    trained = {name.split(".")[1]: section for name, section in parameters.items() if name.endswith(".train")}
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
    said = f"{platform.machine()}; torch finds {capability}, numpy uses {', '.join(found) or 'no extension'}"
    if capability in PROMISED:
        return said
    return f"{said}; the same bytes are promised on x86-64 with AVX2 alone"
