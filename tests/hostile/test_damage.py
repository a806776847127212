"""Damaged inputs, in bulk: each ends in one line or in a documented recovery, and changes no good output.

`make test` tries a sample, `make stress` all of them; `support.damage` makes them.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.damage import CHECKPOINTS, EITHER, KINDS, READ, SEED, STAGES, Case, draw_for, strange_names
from support.damage.outputs import good
from support.errors import ERROR
from support.tried import Tried
from support.warm import ENOUGH, StageRun, Warm

SAMPLE = 12
LONGEST_LINE = 2_000
DEVICES = ("/dev/zero", "/dev/full", "/dev/tty", "/dev/null")
"""Where links of the corpus lead: whoever may write everywhere could replace them."""
LARGEST = 2 << 30
"""Bytes of memory that no damage may cost, beyond what the imports take."""
UNREADABLE = r"sync \S+: the result of the working tree can't be read \(.+\)\n"
"""What `retrain sync` says of each such result."""
OWN = {
    "prepare": ("data/{}/prepared/",),
    "split": ("data/{}/splits/", "data/{}/examples/"),
    "train": ("models/{}/", "reports/{}/history.csv"),
    "evaluate": tuple(f"reports/{{}}/{name}" for name in ("metrics.json", "predictions.csv", "tables/")),
    "plot": tuple(f"reports/{{}}/{name}" for name in ("plots/", "report.html", "MODEL_CARD.md")),
    "retrain": ("params.yaml",),
}  # fmt: skip
"""What a command writes anew where it succeeds; `{}` is the dataset."""


def count(tried: Tried, case: Case, ended: StageRun, harmed: list[str], drafts: list[str]) -> None:
    """Count a case in."""
    traceback = "Traceback" in ended.said
    wrong = [] if traceback or ended.hung else others(case, ended, drafts)
    failure = (
        f"{case.name!r}: {' '.join(case.command)[:200]!r} ended with {ended.code}; {wrong}; changed {harmed[:3]}; "
        f"hung {ended.hung}; it said: {ended.stdout[-200:]!r} {ended.stderr[-1500:]!r}"
    )
    what = {"tracebacks": traceback, "changed outputs": harmed, "hangs": ended.hung, "other failures": wrong}
    tried.add({"refused": ended.code, **what}, failure if any(what.values()) else "")
    tried.largest = max(tried.largest, ended.peak)


def others(case: Case, ended: StageRun, drafts: list[str]) -> list[str]:
    """All else that may be wrong with how a command ended."""
    line = ERROR.pattern if ended.code == 1 else r"(Usage: .*\nTry .*\n\n)?Error: .*\n"
    if case.command == ("retrain", "sync"):
        line = f"{line}|{UNREADABLE}"
    wrong = {
        f"exit code {ended.code}, not of {case.codes}": ended.code not in case.codes,
        "not one line": ended.code != 0 and not re.fullmatch(line, ended.stderr),
        "a line too long": len(ended.stderr) > LONGEST_LINE and ended.code != 0,
        "not printable": not ended.said.replace("\n", "").isprintable(),
        f"drafts {drafts}": bool(drafts),
        f"nothing of {case.says!r}": not re.search(case.says, ended.stderr),
        f"{ended.peak >> 20} MB of memory": ended.peak > LARGEST,
    }
    return [what for what, is_so in wrong.items() if is_so]


def harm(case: Case, ended: StageRun, before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """The outputs that a command changed and should not have."""
    stage, *arguments = case.command
    own = tuple(path.format(arguments[-1]) for path in OWN[stage]) if ended.code == 0 and case.codes == EITHER else ()
    names = (name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return sorted(name for name in names if not name.startswith(own))


def try_out(tried: Tried, cases: list[Case], warm: Warm, whole: Path) -> None:
    """Run each case in a copy of the whole project of its own."""
    copy = whole.with_name("project")
    for case in cases:
        shutil.rmtree(copy, ignore_errors=True)  # of a case that failed
        shutil.copytree(whole, copy, symlinks=True)
        before = good(copy)
        case.damage(copy)
        damaged = good(copy)
        stdin = str(copy / case.stdin)
        ended = warm.run(copy, *case.command, stdin=stdin, limits=replace(ENOUGH, memory=2 * LARGEST))
        assert all(Path(device).is_char_device() for device in DEVICES), case.name
        expected = before if case.codes == READ and case.command[0] != "retrain" else damaged
        kept = {name: damaged[name] for name in damaged if damaged[name] != before.get(name)}
        drafts = [str(path.relative_to(copy)) for path in copy.rglob("*.draft")]
        count(tried, case, ended, harm(case, ended, {**expected, **kept}, good(copy)), drafts)
        shutil.rmtree(copy)


def interrupt(warm: Warm, whole: Path, *datasets: str) -> None:
    """Leave, beside the project, checkpoints of trainings that could not write their result: a file stands in its way."""
    folder = whole.with_name("project")
    shutil.copytree(whole, folder, symlinks=True)
    for dataset in datasets:
        shutil.rmtree(folder / "reports" / dataset)
        (folder / "reports" / dataset).touch()
        assert warm.run(folder, "train", "--dataset", dataset).code == 1
    (folder / ".retrain" / "checkpoints").rename(whole.with_name(CHECKPOINTS))
    shutil.rmtree(folder)


def sample() -> list[Case]:
    """A few cases of all that meet the small project's dataset."""
    every = [case for make in KINDS.values() for case in make() if "tiny_news" in case.command]
    return draw_for("sample").sample(every, SAMPLE)


def test_some_damaged_inputs(warm, small):
    tried = Tried()
    interrupt(warm, small, "tiny_news")
    try_out(tried, sample(), warm, small)
    tried.check()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_strange_names(warm, whole):
    tried, folder = Tried(), whole.with_name("project")
    for name, damage in strange_names():
        shutil.copytree(whole, folder, symlinks=True)
        damage(folder)
        for command in (
            *((stage, "--dataset", "tiny_news") for stage in STAGES),
            ("retrain", "predict", "tiny_news", "a ship"),
        ):
            ended = warm.run(folder, *command)
            drafts = [str(path) for path in folder.rglob("*.draft")]
            count(tried, Case(name, damage, command, EITHER), ended, [], drafts)
        shutil.rmtree(folder)
    print(f"strange names: {tried}")
    tried.check()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_all_damaged_inputs(kind, warm, whole):
    tried = Tried()
    if kind == "checkpoints":
        interrupt(warm, whole, "tiny_news", "tiny_numbers")
    try_out(tried, list(KINDS[kind]()), warm, whole)
    print(f"damaged {kind} (seed {SEED}): {tried}")
    tried.check()
