"""The files that a damaged input must not change."""

from pathlib import Path

GOOD = ("data", "models", "reports", "params.yaml", "dvc.yaml", "dvc.lock", ".retrain/downloads")


def good(folder: Path) -> dict[str, bytes]:
    """Every file that a command could harm, by its path; what is no file stands for itself."""
    files = (path for name in GOOD for path in ((folder / name), *(folder / name).rglob("*")))
    return {
        str(path.relative_to(folder)): content_of(path)
        for path in files
        if path.is_symlink() or (path.exists() and not path.is_dir())
    }


def content_of(path: Path) -> bytes:
    """A file's bytes."""
    if path.is_symlink() or not path.is_file():
        return b"no file"
    return path.read_bytes()
