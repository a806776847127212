"""`retrain audit` finds what stages read and do not declare, and what they declare and do not read."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

from retrain.commands import audit
from retrain.pipeline import dependencies, dvc_yaml, sandbox
from retrain.pipeline.dvc_yaml import Stage

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from support.project import Project, tiny_datasets, write_tiny_tables, write_yaml

READERS = """
    import mmap, os, shutil, subprocess
    import numpy, pyarrow.parquet, safetensors

    open("python").read()
    os.read(os.open("descriptor", os.O_RDONLY), 9)
    with open("mapped", "rb") as file:
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[0]
    numpy.load("array.npy", mmap_mode="r")[0]
    pyarrow.parquet.read_table("table.parquet", memory_map=True)
    with safetensors.safe_open("weights", framework="numpy") as file:
        file.get_tensor("a")
    subprocess.run(["cat", "program"], check=True)
    shutil.copy("copied", "out")
    open("empty").read()
    import module
    open("folder/inner").read()
    os.listdir("listed")
    os.path.exists("looked_for"), os.stat("asked"), os.path.exists("missing")
"""
READ = {
    "script.py", "python", "descriptor", "mapped", "array.npy", "table.parquet", "weights", "program", "copied",
    "module.py", "folder/inner", "listed",
}  # fmt: skip


def test_every_way_to_read_is_observed(tmp_path):
    import numpy as np
    import pandas as pd
    from safetensors.numpy import save_file

    full, root = tmp_path / "full", tmp_path / "root"
    for folder in ("folder", "listed", "unlisted"):
        (full / folder).mkdir(parents=True)
    for name in (
        "python",
        "descriptor",
        "mapped",
        "program",
        "copied",
        "folder/inner",
        "looked_for",
        "asked",
        "unread",
    ):
        (full / name).write_text("content")
    (full / "empty").touch()  # can't change a result
    (full / "module.py").write_text("VALUE = 1\n")
    np.save(full / "array.npy", np.ones(3))
    pd.DataFrame({"a": [1]}).to_parquet(full / "table.parquet")
    save_file({"a": np.ones(3)}, full / "weights")
    (full / "script.py").write_text(textwrap.dedent(READERS))
    stage = Stage("all", f"{shlex.quote(sys.executable)} script.py", (), (), {}, ("out",), ())
    observed = sandbox.observe(stage, full, root)
    assert observed.run.status == 0, observed.run.printed
    assert observed.read == READ
    assert observed.wrote == {"out"}


# A pipeline of shell commands, which ends within a second: what dvc.yaml has, and what the command has to say.
TRUE = {"cmd": "cat in.txt > out-${key}", "deps": ["in.txt"], "outs": ["out-${key}"]}
PLOT = "grep -A 1 'plot:' params.yaml | grep -o '[0-9]*' > out-${key}"
SHELL = {
    "what is true": (TRUE, []),
    "an undeclared file": (
        TRUE | {"cmd": "cat in.txt more.txt > out-${key}"},
        ["reads more.txt and does not declare it; add to the deps of 'stage' in dvc.yaml:", "        - more.txt"],
    ),
    "a dependency that is not read": (
        TRUE | {"deps": ["in.txt", "more.txt"]},
        ["declares more.txt and does not read it; remove from the deps of 'stage' in dvc.yaml:", "        - more.txt"],
    ),
    "an undeclared output": (
        TRUE | {"cmd": "cat in.txt > out-${key} && echo > extra-${key}"},
        ["writes extra-tiny_sign and does not declare it; add to the outs of 'stage' in dvc.yaml:", "        - extra-tiny_sign"],
    ),
    "an undeclared section": (
        {"cmd": PLOT, "params": ["datasets.${key}.train"], "outs": ["out-${key}"]},
        ["declares datasets.tiny_sign.train of params.yaml and does not read it; remove from the params of 'stage' in dvc.yaml:",
         "        - datasets.${key}.train",
         "reads datasets.tiny_sign.plot of params.yaml and does not declare it; add to the params of 'stage' in dvc.yaml:",
         "        - datasets.${key}.plot"],
    ),
    "a declared section": ({"cmd": PLOT, "params": ["datasets.${key}.plot"], "outs": ["out-${key}"]}, []),
    "bytes that differ each time": (
        TRUE | {"cmd": "cat in.txt > out-${key} && date +%N >> out-${key}"},
        ["writes different bytes when only the files that it was seen to read exist; make it deterministic, and let it not depend on whether a file exists"],
    ),
    "a file whose being there is what counts": (
        TRUE | {"cmd": "cat in.txt > out-${key} && if [ -e more.txt ]; then echo more >> out-${key}; fi"},
        ["writes different bytes when only the files that it was seen to read exist; make it deterministic, and let it not depend on whether a file exists"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A repository without code, with one tiny dataset."""
    project = Project(tmp_path_factory.mktemp("shell"))
    write_tiny_tables(project.folder)
    (project.folder / ".dvc").mkdir()
    (project.folder / ".dvc/config").touch()
    (project.folder / "in.txt").write_text("in")
    (project.folder / "more.txt").write_text("more")
    write_yaml(project.folder / "params.yaml", {"datasets": {"tiny_sign": tiny_datasets()["tiny_sign"]}})
    assert project.run("git", "init", "-q").returncode == 0
    write_stages(project, {"stage": TRUE})
    project.dvc("status")  # DVC makes .dvc/tmp
    return project


def write_stages(project: Project, stages: dict[str, dict]) -> None:
    """Make these the stages of dvc.yaml, once per dataset."""
    content = {"stages": {name: {"foreach": "${datasets}", "do": stage} for name, stage in stages.items()}}
    with (project.folder / "dvc.yaml").open("w") as file:
        YAML(typ="safe").dump(content, file)


def audited(project: Project) -> Result:
    """`retrain audit`, run in this process."""
    with chdir(project.folder):
        return CliRunner().invoke(audit.command)


@pytest.mark.parametrize("what", SHELL)
def test_wrong_declaration_is_found(shell, what):
    stage, said = SHELL[what]
    write_stages(shell, {"stage": stage})
    before = shell.run("git", "status", "--porcelain", "--ignored").stdout
    ended = audited(shell)
    found = [line.removeprefix("stage@tiny_sign ") for line in ended.stdout.splitlines()]
    assert (found if said else []) == said
    assert ended.exit_code == bool(said), ended.output
    assert ended.stdout.startswith("stage@tiny_sign reads what it declares: ") is not bool(said)
    assert shell.run("git", "status", "--porcelain", "--ignored").stdout == before


def test_stages_run_in_order(shell):
    last = {"cmd": "cat out-${key} > last-${key}", "deps": ["out-${key}"], "outs": ["last-${key}"]}
    write_stages(shell, {"a_last": last, "stage": TRUE})
    ended = audited(shell)
    assert ended.exit_code == 0, ended.output
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["stage@tiny_sign", "a_last@tiny_sign"]


def test_failing_stage_is_one_line(shell):
    write_stages(shell, {"stage": TRUE | {"cmd": "cat in.txt && echo && echo Went wrong >&2 && exit 3"}})
    ended = audited(shell)
    assert ended.exit_code == 1
    copy = "fails in a copy of the working tree (Went wrong)"
    assert ended.stderr == f"Error: stage@tiny_sign {copy}; fix it, then try again\n"


def test_interrupted_audit_leaves_nothing(shell, tmp_path):
    mark = tmp_path / "mark"
    write_stages(shell, {"stage": TRUE | {"cmd": f"echo $$ > {mark} && exec sleep 600"}})
    program = """
        import signal
        from retrain.commands import audit
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        audit.command()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=shell.folder, env=shell.environment | {"TMPDIR": str(tmp_path)}) as process:
        while not (mark.exists() and mark.read_text().strip()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert list(tmp_path.iterdir()) == [mark]


def edited(file: Path, edits: dict[str, str]) -> None:
    """Replace lines of a file, the first such ones, by others or by nothing."""
    text = file.read_text()
    for line, replacement in edits.items():
        assert f"{line}\n" in text
        text = text.replace(f"{line}\n", replacement, 1)
    file.write_text(text)


PIPELINE = {
    "        - src/retrain/data/cleaning.py": "        - src/retrain/training/loop.py\n",
    "        - src/retrain/data/sources": "",
    "        - requirements.lock\n        - data/${key}/prepared": "        - requirements.lock\n",
    "        - src/split.py": "        - src/split.py\n        - README.md\n",
}
SPLIT = {
    "import click": "import click\nimport helper\n",
    '    prepared = read_prepared(Path("data", dataset, "prepared"))': """
    Path("data", "seen").touch()
    prepared = read_prepared(Path("data", dataset, "prepared"))
""",
}
FOUND = {
    # what was taken out of dvc.yaml
    ("prepare", "reads", "src/retrain/data/cleaning.py"),
    ("prepare", "reads", "src/retrain/data/sources/__init__.py"),
    ("prepare", "reads", "src/retrain/data/sources/${item.prepare.source}.py"),
    ("split", "reads", "data/${key}/prepared"),
    # what was put into dvc.yaml
    ("prepare", "declares", "src/retrain/training/loop.py"),
    ("split", "declares", "README.md"),
    # what the code does besides
    ("split", "reads", "src/helper.py"),
    ("split", "reads", "LICENSE"),
    ("split", "writes", "data/seen"),
}


def test_compiled_code_is_not_copied(tmp_path):
    """With it, Python would not read the sources, and the audit would miss that a stage needs them."""
    (tmp_path / "full/code/__pycache__").mkdir(parents=True)
    for name in ("module.py", "__pycache__/module.cpython-311.pyc"):
        (tmp_path / "full/code" / name).write_text("a = 1\n")
    sandbox.copy(["code"], tmp_path / "full", tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == ["code", "module.py"]


@pytest.mark.slow
def test_audit_finds_exactly_what_is_wrong(project):
    pipeline_file = project.folder / "dvc.yaml"
    first_stages, later_stages, rest = re.split(r"^(?=  train:|plots:)", pipeline_file.read_text(), flags=re.MULTILINE)
    assert "src/plot.py" in later_stages
    pipeline_file.write_text(first_stages + rest)
    edited(pipeline_file, PIPELINE)
    edited(project.folder / "src/split.py", SPLIT)
    (project.folder / "src/helper.py").write_text("import subprocess\nsubprocess.run(['cat', 'LICENSE'])\n")
    ended = project.run("retrain", "audit", "tiny_news", timeout=570)
    assert ended.returncode == 1, ended.said
    assert (
        ended.stderr
        == f"Error: dvc.yaml: {len(FOUND)} entries are wrong or missing; change the lines that are listed above\n"
    )
    finding = re.compile(r"^(\w+)@tiny_news (\w+) .*; \w+ \w+ .* of '\1' in dvc.yaml:\n {8}- (.*)$", re.MULTILINE)
    assert set(finding.findall(ended.stdout)) == FOUND


@pytest.mark.campaign
@pytest.mark.parametrize("dataset", tiny_datasets())
def test_dvc_yaml_is_right_for_every_task(project, dataset):
    ended = project.run("retrain", "audit", dataset, timeout=570)
    assert ended.returncode == 0, ended.said
    assert ended.stdout.count(" reads what it declares: ") == 5
    print(ended.stdout)


OPENED = re.compile(r'open\w*\(.*", (?:\{flags=)?(?P<flags>[A-Z_|]+).* = \d+<(?P<path>.*)>$', re.MULTILINE)


@pytest.mark.campaign
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_observed_files_are_those_of_strace(project, tmp_path):
    stages = [stage for stage in dvc_yaml.read(project.folder).stages if stage.dataset == "tiny_numbers"]
    full, root, trace = tmp_path / "full", tmp_path / "root", tmp_path / "trace"
    sandbox.copy(sandbox.working_tree(project.folder, stages), project.folder, full)
    root.mkdir()
    (root / ".venv").symlink_to(sys.prefix)
    for stage in dvc_yaml.in_order(stages):
        command = f"strace -f -y -qq -e trace=open,openat,openat2 -o {trace} {stage.command}"
        before = sandbox.content(full)
        observed = sandbox.observe(replace(stage, command=command), full, root)
        assert observed.run.status == 0, observed.run.printed
        calls = [call for call in OPENED.finditer(trace.read_text(errors="replace")) if "O_WRONLY" not in call["flags"]]
        opened = {call["path"].removeprefix(f"{full}/") for call in calls if call["path"].startswith(f"{full}/")}
        opened = {name for name in opened & before.keys() if not dependencies.within(name, [".git", *stage.outputs])}
        assert opened == {name for name in observed.read if not dependencies.within(name, stage.outputs)}
        print(f"{stage.name}: {len(opened)} files and folders opened, and as many seen to be read")
