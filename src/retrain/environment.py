"""Which interpreter, which folders, which CPU code path. Standard library only: it runs before anything else is found."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

SCRIPTS = Path(__file__).resolve().parents[1]
PROCESSOR = Path("/proc/cpuinfo")
SETTINGS = ("ATEN_", "DNNL_", "FBGEMM_", "GOMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_")
"""What the variables begin with that the libraries under torch take their settings from."""
ADDRESS_SPACE = 2 << 30
"""Bytes that torch, pandas and MLflow take, all together, only to be loaded."""


def enter_project_environment() -> None:
    """Start a stage script again under `.venv/`'s interpreter when another one runs it.

    So `python3 src/train.py` works whether the environment is activated or not. Where the project has no `.venv/`
    (a container, conda), the interpreter that was called is taken as it is.
    """
    if Path(sys.argv[0]).resolve().parent != SCRIPTS:
        return
    environment = Path(os.environ.get("DVC_ROOT", SCRIPTS.parent)) / ".venv"
    interpreter = environment / "bin" / "python"
    if interpreter.exists() and Path(sys.prefix).resolve() != environment.resolve():
        os.execv(interpreter, [str(interpreter), *sys.argv])


def explain_missing_packages() -> None:
    """Replace the traceback by one line where a package of the project is not installed for this interpreter."""
    previous = sys.excepthook

    def explain(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if package in {"", "retrain"} or find_spec(package):
            previous(kind, error, traceback)
        else:
            fact = f"the project's packages are not installed for this Python ({sys.executable} has no {package})"
            sys.stderr.write(f"Error: {fact}; run: make setup\n")

    sys.excepthook = explain


def name_user() -> None:
    """Set USER where the user id has no name, as in a container: DVC asks for the name and fails without one."""
    import getpass

    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())


def workspace() -> Path:
    """The project's folder: the nearest one with a dvc.yaml, from the current folder upwards; else the current one.

    Under `dvc exp run --temp` that is the temporary copy.
    """
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)


def root() -> Path:
    """The folder that owns what outlives a run (MLflow's store, downloads): `DVC_ROOT`, else the workspace.

    Under `dvc exp run --temp` that is the real repository and not the temporary copy.
    """
    return Path(os.environ["DVC_ROOT"]) if "DVC_ROOT" in os.environ else workspace()


def stage_command(stage: str, dataset: str) -> str:
    """The command that runs a stage again: DVC's where DVC runs it, else that of its script."""
    return (
        f"dvc repro {stage}@{dataset}" if "DVC_STAGE" in os.environ else f"python3 src/{stage}.py --dataset {dataset}"
    )


def address_space() -> float:
    """Bytes of memory that this process may address at most: `ulimit -v`; infinity where there is no limit."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def pin_cpu(threads: int) -> None:
    """Fix what decides the last bits of a result on x86-64: instruction set, MKL's code path, number of threads.

    The libraries read these variables once, while torch loads, so this comes before the first `import torch`. Whatever
    else the caller's environment says to them is taken out, which is said: with `OMP_THREAD_LIMIT=1`, two threads would
    be one.

    Raises:
        RuntimeError: torch is loaded already and was not pinned like this.
    """
    pins = {
        **({"ATEN_CPU_CAPABILITY": "avx2"} if runs_avx2(PROCESSOR) else {}),
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    inherited = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    if "torch" in sys.modules and inherited != pins:
        raise RuntimeError("pin_cpu must come before the first import of torch")
    overruled = sorted(name for name, value in inherited.items() if pins.get(name) != value)
    if overruled:
        sys.stderr.write(
            f"{', '.join(overruled)}: not used; threads come from params.yaml, and results depend on the rest\n"
        )
    for name in inherited:
        del os.environ[name]
    os.environ.update(pins)


def runs_avx2(processor: Path) -> bool:
    """Whether a processor, as Linux describes it, has AVX2: told to use it, torch would not ask and crash without it."""
    return processor.exists() and "avx2" in processor.read_text(encoding="utf-8").split()


def loaded_code() -> dict[str, str]:
    """The project's own modules that this process has loaded, each with a digest of its file."""
    import hashlib

    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = sorted(path for path in (Path(file).resolve() for file in loaded if file) if path.is_relative_to(SCRIPTS))
    return {str(path.relative_to(SCRIPTS)): hashlib.sha256(path.read_bytes()).hexdigest() for path in own}


def versions(*libraries: str) -> dict[str, str]:
    """The versions of Python and of some libraries."""
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version(), **{library: version(library) for library in libraries}}
