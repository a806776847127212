"""No code loads a file in a way that could execute it, or listens to other machines. Checked on the syntax trees."""

import ast
from collections.abc import Iterator

from retrain.commands import ui

import pytest
from support.project import REPOSITORY

CODE = sorted(
    path
    for folder in ("src", "benchmarks")
    for path in (REPOSITORY / folder).rglob("*.py")
    if not any(part.startswith(".venv") for part in path.parts)
)
MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
    "imp",
}
"""Not to be imported: they load objects, or code. The library for YAML is ruamel's here."""
NAMES = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp", "shutil.unpack_archive", "pandas.read_pickle", "pandas.eval", "pandas.read_hdf", "torch.jit.load",
    "torch.hub.load", "torch.package.PackageImporter", "torch.serialization.add_safe_globals", "torch.serialization.load",
    "torch.utils.cpp_extension.load", "runpy.run_path", "importlib.util.spec_from_file_location",
    "ssl._create_unverified_context",
}  # fmt: skip
"""Not to be named."""
METHODS = {"read_pickle", "to_pickle", "extractall", "unsafe_load", "full_load", "load_module", "exec_module"}
"""Not to be called, on any value."""
WITH_A_TEXT = {"eval", "query"}
"""Methods of a table that execute their argument. `network.eval()` has no argument."""
REQUIRED = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "numpy.save": ("allow_pickle", False),
    "numpy.lib.format.read_array": ("allow_pickle", False),
}
"""Safe only when called with this keyword, written out."""
ONLY = {"shell": False, "verify": True, "allow_pickle": False, "weights_only": True}
"""The one value that a keyword may have, whatever is called."""
EVERY_NETWORK = {"0.0.0.0", "::"}  # noqa: S104 (looked for)


def faults(source: str) -> list[str]:
    """The forbidden things that a source file does."""
    tree = ast.parse(source)
    names = dict(imported(tree))
    unwanted = [name for name in names.values() if name.partition(".")[0] in MODULES or name in NAMES]
    allowed = {call.func for call in calls(tree) if fulfils(call, full_name(call.func, names))}
    return [
        *(f"imports {name}" for name in unwanted),
        *(f"names {constant.value}" for constant in constants(tree) if constant.value in EVERY_NETWORK),
        *(f"names {full_name(node, names)}" for node in ast.walk(tree) if full_name(node, names) in NAMES),
        *(f"names {full_name(node, names)} without its keyword" for node in ast.walk(tree)
          if full_name(node, names) in REQUIRED and node not in allowed),
        *(fault for call in calls(tree) for fault in faults_of_call(call, full_name(call.func, names))),
    ]  # fmt: skip


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def constants(tree: ast.AST) -> list[ast.Constant]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that a source gives to its imports, with the full name: `np` is `numpy`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or whole, whole
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def full_name(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of an expression: `np.load` is `numpy.load`; a method of an unnamed value is `?.load`."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, names)}.{node.attr}"
    return "?"


def keywords(call: ast.Call) -> dict[str | None, object]:
    """The keywords of a call with their values; Ellipsis for a value that is not a constant."""
    return {word.arg: word.value.value if isinstance(word.value, ast.Constant) else ... for word in call.keywords}


def fulfils(call: ast.Call, name: str) -> bool:
    keyword, value = REQUIRED.get(name, ("", None))
    return keywords(call).get(keyword) is value


def faults_of_call(call: ast.Call, name: str) -> Iterator[str]:
    """The forbidden things that a call of this name does."""
    last, given = name.rpartition(".")[2], keywords(call)
    if "." in name and (last in METHODS or (last in WITH_A_TEXT and (call.args or call.keywords))):
        yield f"calls {name}"
    if last == "YAML" and (call.args or given.get("typ", "rt") not in ("rt", "safe")):
        yield "reads YAML that may make objects"
    if name.startswith("requests.") and last in ("get", "post", "request", "head", "put") and "timeout" not in given:
        yield f"calls {name} without a timeout"
    yield from (f"calls {name} with another {word}" for word in ONLY if word in given and given[word] is not ONLY[word])


def test_no_file_executes_what_it_reads():
    found = {str(path.relative_to(REPOSITORY)): faults(path.read_text(encoding="utf-8")) for path in CODE}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_all_code_is_checked():
    assert {"train.py", "files.py", "predictor.py", "bench.py"} <= {path.name for path in CODE}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import cPickle as p", "import dill", "import cloudpickle", "import shelve",
        "import joblib", "from joblib import load", "import marshal", "import yaml", "from yaml import safe_load",
        "import pandas as pd\npd.read_pickle(p)", "from pandas import read_pickle", "frame.to_pickle(p)", "pandas.read_hdf(p)",
        "import numpy as np\nnp.load(p)", "import numpy as np\nnp.load(p, allow_pickle=True)", "numpy.load(p, None, flag)",
        "import numpy as np\nnp.load(p, allow_pickle=flag)", "from numpy import load\nload(p)", "import numpy\nread = numpy.load",
        "import torch\ntorch.load(p)", "import torch\ntorch.load(p, weights_only=False)", "import torch as t\nt.load(p)",
        "import torch\ntorch.load(p, weights_only=safe)", "from torch import load as read\nread(p)", "import torch\nf = torch.load",
        "import torch\ntorch.jit.load(p)", "from torch import jit\njit.load(p)", "import torch.hub\ntorch.hub.load(r, m)",
        "from torch.serialization import add_safe_globals", "helper(p, weights_only=False)", "helper(p, allow_pickle=True)",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')", "YAML(typ='base')", "YAML(typ=kind)", "YAML('unsafe')",
        "eval(text)", "exec(text)", "compile(text, 'f', 'exec')", "__import__(name)", "run = eval", "frame.query(text)",
        "frame.eval('a + b')", "frame.eval(expr=text)", "import os\nos.system(c)", "from os import popen", "import os as o\no.popen(c)",
        "import subprocess\nsubprocess.run(c, shell=True)", "Popen(c, shell=flag)", "subprocess.getoutput(c)",
        "import tempfile\ntempfile.mktemp()", "archive.extractall(p)", "import shutil\nshutil.unpack_archive(p)",
        "requests.get(url)", "import requests\nrequests.get(url, timeout=1, verify=False)", "serve('0.0.0.0')", "bind(('::', 80))",
    ],
)  # fmt: skip
def test_forbidden_calls_are_found(source):
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nwith path.open('rb') as file:\n    torch.load(file, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(path, mmap_mode='r', allow_pickle=False)", "network.eval()", "model.load(folder)",
        "import numpy as np\nnp.save(path, array, allow_pickle=False)", "import re\nre.compile(pattern)", "YAML()",
        "YAML(typ='safe')", "import json\njson.loads(text)", "subprocess.run(['git', 'log'], check=True)", "bind(('127.0.0.1', 0))",
        "import requests\nrequests.get(url, timeout=5)",
    ],
)  # fmt: skip
def test_allowed_calls_pass(source):
    assert faults(source) == []


def test_server_listens_on_localhost_only():
    assert ui.HOST == "127.0.0.1"
