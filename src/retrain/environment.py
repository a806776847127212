"""The interpreter, the folders and the CPU settings. It uses the standard library only, because it runs first."""

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, TracebackType

__all__ = [
    "ADDRESS_SPACE",
    "COMMAND",
    "SCRIPTS",
    "address_space",
    "code_states",
    "enter_project_environment",
    "explain_missing_packages",
    "keep_memory",
    "loaded_code",
    "name_user",
    "pin_cpu",
    "pin_unless_loaded",
    "root",
    "stage_command",
    "versions",
    "workspace",
]


SCRIPTS = Path(__file__).resolve().parents[1]
PROCESSOR = Path("/proc/cpuinfo")
COMMAND = "RETRAIN_COMMAND"
"""The environment variable with the command of `retrain` that runs the stages."""
SETTINGS = ("ATEN_", "DNNL_", "FBGEMM_", "GOMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_")
"""Prefixes of the environment variables that configure the libraries of torch."""
ALLOCATION = {-8: 1, -3: 1 << 25, -1: 1 << 30}
"""Options of glibc's `mallopt`: one heap for all threads (`M_ARENA_MAX`), which serves arrays of up to 32 MB (`M_MMAP_THRESHOLD`)
and keeps up to 1 GB that is free (`M_TRIM_THRESHOLD`)."""
ADDRESS_SPACE = 2 << 30
"""The bytes that torch, pandas and MLflow need together to be imported."""


def enter_project_environment() -> None:
    """Start a stage script again with the interpreter of `.venv/` if a different one runs it.

    So `python3 src/train.py` works without activating the environment. If the project has no `.venv/` (in a container,
    with conda), the interpreter that was called is used.
    """
    if Path(sys.argv[0]).resolve().parent != SCRIPTS:
        return
    environment = Path(os.environ.get("DVC_ROOT", SCRIPTS.parent)) / ".venv"
    interpreter = environment / "bin" / "python"
    if interpreter.exists() and Path(sys.prefix).resolve() != environment.resolve():
        os.execv(interpreter, [str(interpreter), *sys.argv])


def explain_missing_packages() -> None:
    """Replace the traceback by one line where a package of the project is not installed, or Ctrl-C ends the imports of a program."""
    previous = sys.excepthook
    called = Path(sys.argv[0])
    is_program = called.name == "retrain" or called.resolve().parent == SCRIPTS

    def explain(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if is_program and issubclass(kind, KeyboardInterrupt):
            sys.stderr.write(f"{called.stem}: interrupted before its start\n")
        elif package in {"", "retrain"} or find_spec(package):
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


def keep_memory() -> None:
    """Use memory again for arrays of some MB, where the C library is glibc. It must come before the first thread.

    By default glibc returns such an array to the system as soon as it is not used, and getting it again takes longer than
    many operations on it.
    """
    import ctypes

    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in ALLOCATION.items():
            mallopt(option, value)


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
    """The command that continues from a stage: `retrain ...` if that ran it, or of DVC with all later stages, or that of its script."""
    repro = f"dvc repro plot@{dataset}" if "DVC_STAGE" in os.environ else f"python3 src/{stage}.py --dataset {dataset}"
    return os.environ.get(COMMAND, repro)


def address_space() -> float:
    """The limit on the memory that this process may address, in bytes (`ulimit -v`); infinity if there is none."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def pin_cpu(threads: int) -> None:
    """Fix everything that changes rounding on x86-64: the instruction set, the code path of MKL, the number of threads.

    The libraries read these variables once, while torch is imported, so this must come first. All other settings of
    these libraries are removed, with a warning: for example, `OMP_THREAD_LIMIT=1` would turn two threads into one.

    Raises:
        RuntimeError: torch is imported already, with different settings.
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
            f"ignored {', '.join(overruled)}: params.yaml sets the threads, and the other settings would change results\n"
        )
    for name in inherited:
        del os.environ[name]
    os.environ.update(pins)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic algorithms on a GPU need it


def pin_unless_loaded(threads: int) -> None:
    """Compute as in a training with so many threads, unless torch is loaded: it has read its settings."""
    if "torch" not in sys.modules:
        pin_cpu(threads)


def runs_avx2(processor: Path) -> bool:
    """Whether a processor has AVX2, from Linux' description of it. Without AVX2, torch would crash if told to use it."""
    return processor.exists() and "avx2" in processor.read_text(encoding="utf-8").split()


def loaded_code() -> dict[str, str]:
    """The project's modules that this process has imported, each with the digest of its file."""
    import hashlib

    return {str(path.relative_to(SCRIPTS)): hashlib.sha256(path.read_bytes()).hexdigest() for path in loaded_files()}


def code_states() -> dict[str, tuple[int, int]]:
    """The time of the last change and the size of each of these modules' files; nothing is read. Both are 0 if a file is gone."""
    return {str(path.relative_to(SCRIPTS)): state_of(path) for path in loaded_files()}


def state_of(path: Path) -> tuple[int, int]:
    """The time of a file's last change, in nanoseconds, and its size."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


def loaded_files() -> list[Path]:
    """The files of the project's modules that this process has imported, some of which may be gone."""
    modules = list(sys.modules.items())  # thousands, of a few hundred packages
    is_own = {
        package: may_be_own(sys.modules.get(package)) for package in {name.partition(".")[0] for name, _ in modules}
    }
    loaded = {getattr(module, "__file__", None) for name, module in modules if is_own[name.partition(".")[0]]}
    places = [os.path.split(file) for file in loaded if file]
    return sorted({folder / name for place, name in places if (folder := own_folder(place))})


def may_be_own(package: ModuleType | None) -> bool:
    """Whether a package is in the folder of the project's code, or in several folders."""
    file = getattr(package, "__file__", None)
    return file is None or own_folder(os.path.split(file)[0]) is not None


@cache
def own_folder(place: str) -> Path | None:
    """A folder without links, if it is one of the project's code."""
    folder = Path(place).resolve()
    return folder if folder.is_relative_to(SCRIPTS) else None


def versions(*libraries: str) -> dict[str, str]:
    """The versions of Python and of some libraries."""
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version(), **{library: version(library) for library in libraries}}
