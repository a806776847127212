"""Libraries that are not those of requirements.lock are told: dvc.lock records the file, not what is installed."""

from importlib.metadata import version

from retrain import requirements

import pytest


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Installs a library that has no code."""
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    def install(name: str, version: str) -> None:
        folder = tmp_path / "packages" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    return install


def warning(folder, *pins: str) -> str:
    (folder / requirements.FILE).write_text("".join(f"{pin}  # via x\n" for pin in pins))
    return requirements.warning(folder)


def test_pinned_libraries_are_quiet(tmp_path, library):
    assert requirements.warning(tmp_path) == ""
    library("Some_Name", "2.1+cpu")
    assert (
        warning(tmp_path, "some-name==2.1", f"click=={version('click')}", "absent==1 ; sys_platform == 'win32'") == ""
    )


def test_other_libraries_are_told(tmp_path, library):
    library("some_name", "2.1+cpu")
    library("marked", "3")
    assert warning(tmp_path, "some-name==2.2", "absent==1", "marked==4 ; sys_platform != 'win32'") == (
        "some-name is 2.1+cpu (requirements.lock says 2.2), absent is missing (requirements.lock says 1), "
        "marked is 3 (requirements.lock says 4); run: make setup"
    )
    assert warning(tmp_path, *(f"absent{number}==1" for number in range(5))).endswith(
        ", 2 more differ; run: make setup"
    )


def test_first_library_counts(tmp_path, library):
    library("click", "0.1")
    assert warning(tmp_path, "click==0.1") == ""
