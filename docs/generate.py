"""Write docs/reference/params.md and docs/reference/cli.md from the code: `make docs`."""

import ast
import importlib
import inspect
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from retrain import params  # noqa: E402
from retrain.commands import main as retrain  # noqa: E402
from retrain.schema import Section  # noqa: E402

import click  # noqa: E402
from ruamel.yaml import YAML  # noqa: E402

SECTIONS = {
    "prepare": "retrain.data.sources.SourceParameters",
    "split": "retrain.data.splitting.Split",
    "train": "retrain.training.setup.Train",
    "evaluate": "evaluate.Evaluate",
    "plot": "plot.Plot",
    "gate": "retrain.release.parameters.Gate",
}
CHOICES = {
    "prepare.source": ("Sources", "Parameters"),
    "split.encoder.name": ("Encoders", "Parameters"),
    "split.task": ("Tasks", None),
    "train.network.name": ("Networks", "Parameters"),
    "train.loss.name": ("Losses", "Loss"),
}
"""The heading of each kind of choice, and the class in the chosen module that holds its own parameters."""
MEANINGS = {
    "prepare.source": "Where the rows come from: see [Sources](#sources).",
    "prepare.repairs": "The text repairs to apply: `entities` restores broken HTML entities, `backslashes` replaces "
    "backslashes that stand for line breaks, `spaces` makes repeated white space one space.",
    "split.validation": "The share of the rows in the validation split.",
    "split.test": "The share of the rows in the test split. Leave it out if `prepare.test` names an official test file.",
    "split.seed": "Another seed gives another split.",
    "split.encoder": "How inputs become arrays: a name and its own parameters, see [Encoders](#encoders).",
    "train.network": "A name and its own parameters: see [Networks](#networks).",
    "train.optimizer": "A name and its own parameters: see [Optimizers](#optimizers).",
    "train.schedule": "How the learning rate changes: see [Schedules](#schedules).",
    "train.loss": "A name and its own parameters: see [Losses](#losses).",
    "train.threads": "CPU threads. Part of the parameters, because it changes the last digits of a result.",
    "train.loop.epochs": "The largest number of passes over the train split.",
    "train.loop.batch_size": "Rows per training step.",
    "train.loop.learning_rate": "The learning rate at the start; the schedule changes it.",
    "train.loop.seed": "Decides initial weights, the order of the rows and dropout.",
    "evaluate.batch_size": "Rows per step of the evaluation. It limits memory and does not change the metrics.",
    "plot.dots_per_inch": "The resolution of the plots.",
    "source.files.train": "The file with the rows: `location` and `sha256`.",
    "source.files.test.location": "The path or URL of an official test file. Leave out `test` if there is none.",
    "source.files.header": "Whether the first line of the file holds the names of the columns.",
    "source.files.inputs": "The columns that the model sees.",
    "source.files.target": "The column to predict.",
    "source.files.rename": 'New names for values of the target, such as `{"1": World}`. Values that are not listed keep their names; `{}` renames none.',
    "source.files.location": "A path or a URL.",
    "source.docstrings.packages": "The installed packages whose docstrings are the rows.",
    "source.docstrings.minimum_words": "Shorter texts are left out.",
    "source.scikit_learn.table": "The bundled table.",
    "network.embedding_bag.embedding_dim": "The length of a word's vector.",
    "network.ngram_bag.embedding_dim": "The length of a feature's vector.",
    "network.mlp.hidden": "The number of hidden units.",
    "optimizer.sgd.momentum": "The share of the previous step that is added to a step.",
    "optimizer.sgd.weight_decay": "Pulls weights towards zero (L2).",
    "optimizer.adamw.beta1": "Decay of the mean of the gradients.",
    "optimizer.adamw.beta2": "Decay of the mean of the squared gradients.",
    "optimizer.adamw.weight_decay": "Decoupled weight decay.",
    "optimizer.adamw_rowwise.beta1": "Decay of the mean of the gradients.",
    "optimizer.adamw_rowwise.beta2": "Decay of the mean of the squared gradients.",
    "optimizer.adamw_rowwise.weight_decay": "Decoupled weight decay.",
    "schedule.warm_cosine.warmup": "The share of the training in which the learning rate rises.",
    "optimizer.adagrad.weight_decay": "Pulls weights towards zero (L2).",
    "schedule.steps.count": "The number of equal parts.",
    "schedule.steps.gamma": "The factor after each part.",
}
"""Meanings of the fields that have no docstring of their own."""

PARAMS_HEAD = """# Parameters

<!-- Written by `make docs` from the pydantic models. Do not edit. -->

Every parameter of `params.yaml`, by section of a dataset's block.
All parameters are required unless marked optional, in the block of a dataset or in the `defaults` section.
Upper limits above a million are left out.
Write a list in brackets, even if it has one value or none: `inputs: [text]`, `repairs: []`.

The last column lists the stages that run again when the parameter changes.
DVC skips a stage whose inputs come out with the same content, so this is the most that can happen.
A change of `location` alone runs `prepare` and nothing else, because the content of the file decides.
"""
CLI_HEAD = """# Commands

<!-- Written by `make docs` from the commands themselves. Do not edit. -->

`retrain` is in `.venv/bin/`; run `source .venv/bin/activate` once per terminal to call it by its name.
The five stage scripts are usually run by `dvc repro`; each also runs by itself.

## Exit codes

| code | meaning |
|---|---|
| 0 | success |
| 1 | an error, printed as one line `Error: ...` on standard error; or, for checks, a difference was found |
| 2 | a wrong command line |
| 0, 1, 2 of `retrain gate` | pass, fail, cannot decide; only an answer prints something on standard output |
| 128 + signal | interrupted: 130 after Ctrl-C, 143 after SIGTERM |

## Environment variables

| variable | effect |
|---|---|
"""
ENVIRONMENT = {
    "MLFLOW_TRACKING_URI": "The MLflow server or store that runs are sent to. Default: `mlflow.db` in the project.",
    "RETRAIN_TRACKING": "`off` turns the recording of runs in MLflow off; with `here`, a stage writes to MLflow itself and starts no process in the background.",
    "RETRAIN_SAVE_SECONDS": "Seconds between two checkpoints within an epoch. Default: 60.",
    "DVC_ROOT": "Set by DVC: the project whose store, downloads and checkpoints a stage uses.",
    "DVC_STAGE": "Set by DVC: the stage that runs, for error messages.",
    "RETRAIN_COMMAND": "Set by `retrain`: the command that runs the stages, which an interrupted stage names.",
    "DVC_EXP_NAME": "Set by `dvc exp run`: part of the name of the run in MLflow.",
    "TMPDIR": "The folder for the temporary clones and copies of `retrain verify` and `retrain audit`.",
}


def field_docstrings(model):
    """The docstrings under the fields of a model and of the models that it extends."""
    found = {}
    for part in reversed(model.__mro__):
        if not (issubclass(part, Section) and part is not Section):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0].body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


def shown_type(schema, definitions):
    """A JSON schema's type and range in words."""
    if "$ref" in schema:
        return shown_type(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " or ".join(shown_type(option, definitions) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
        limits = [f"{sign} {schema[key]:g}" for key, sign in words.items() if key in schema and schema[key] < 1e6]
        return " ".join([kind, ", ".join(limits)]).strip()
    if kind == "string" and "64" in schema.get("pattern", ""):
        return "64 hexadecimal digits"
    if kind == "array":
        items = schema.get("items", {})
        of = shown_type(items, definitions) if items else "values"
        return f"list of {of}"
    return {"string": "text", "boolean": "`true` or `false`", "object": "mapping", "null": "`null`"}[kind]


def rerun_stages():
    """For each parameter that dvc.yaml names, the stages that depend on it."""
    stages = YAML(typ="safe").load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {
        stage: [name.removeprefix("datasets.${key}.") for name in stages[stage]["do"]["params"]]
        for stage in params.STAGES
    }


def reruns(path):
    """The stages that run again when a parameter changes: the first that depends on it, and all later ones."""
    if path.startswith(f"{params.GATE}."):
        return "none"
    readers = rerun_stages()
    first = next(
        number
        for number, stage in enumerate(params.STAGES)
        if any(f"{path}.".startswith(f"{name}.") for name in readers[stage])
    )
    stages = ", ".join(params.STAGES[first:])
    of_name = [stage for stage in params.STAGES[:first] if f"{path}.name" in readers[stage]]
    return f"{stages} (a different name also runs {of_name[0]})" if of_name else stages


def rows(model, prefix, key, *, skip=(), optional=False):
    """The table rows of a model's fields; all of them are optional if the section is."""
    schema = model.model_json_schema()
    definitions, texts = schema.get("$defs", {}), field_docstrings(model)
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        annotation = next(
            (a for a in (field.annotation, *getattr(field.annotation, "__args__", ())) if nested(a)), None
        )
        if annotation is not None:
            yield from rows(annotation, f"{prefix}.{name}", f"{key}.{name}", optional=not field.is_required())
            continue
        properties = schema["properties"][name]
        kind = shown_type(properties, definitions) + ("" if field.is_required() and not optional else " (optional)")
        if "Literal" in str(field.annotation) and name == "repairs":
            kind = "list of " + ", ".join(f"`{value}`" for value in properties["items"]["enum"])
        fallback = MEANINGS.get(f"{key}.{name}") or MEANINGS.get(f"{'.'.join(key.split('.')[:2])}.{name}", "")
        meaning = (fallback or texts.get(name, "")).replace("<", "&lt;")
        yield f"| `{prefix}.{name}` | {kind.replace(' or `null` (optional)', ' (optional)')} | {meaning} | {reruns(f'{prefix}.{name}')} |"


def nested(annotation):
    """Whether an annotation is a section of its own, whose fields get their own rows."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def table(lines):
    """A Markdown table of parameters, or a sentence if there are none."""
    lines = list(lines)
    head = ["| parameter | type and range | meaning | stages that run again |", "|---|---|---|---|"]
    return [*head, *lines] if lines else ["No parameters of its own."]


def first_line(thing):
    """The first line of a docstring as a sentence."""
    return inspect.getdoc(thing).split("\n\n")[0].replace("\n", " ")


def attribute(path):
    """The object of a dotted name."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def chosen(path, heading, class_name, listed):
    """The part of the page about one kind of choice: a heading and a table per file."""
    package, kind = params.CHOICES[path], path.split(".")[-2 if path.endswith(".name") else -1]
    prefix = path.rpartition(".")[0]
    yield from ("", f"## {heading}", "", f"Values of `{path}`. Each is one file in `src/{package.replace('.', '/')}/`.")
    base = {"source": "repairs"}
    for name in params.choices(package):
        if listed is not None and name not in listed:
            continue
        module = importlib.import_module(f"{package}.{name}")
        yield from (
            "",
            f"### {heading[:-1] if heading != 'Losses' else 'Loss'} `{name}`",
            "",
            f"{first_line(module)}{fits(module)}",
        )
        if class_name is not None:
            model = getattr(module, class_name)
            yield from ("", *table(rows(model, prefix, f"{kind}.{name}", skip=("name", "source", base.get(kind)))))


def fits(module):
    """A sentence about what a choice fits; empty if it fits everything."""
    if hasattr(module, "Encoder"):
        return f" For columns of {module.Encoder.holds}; gives `{module.Encoder.gives}` to the network."
    if hasattr(module, "Network"):
        return f" For encoders that give `{module.Network.takes}`."
    return f" For `split.task: {module.Loss.task}`." if hasattr(module, "Loss") else ""


def unions():
    """The optimizers and the schedules, which are classes of one module."""
    from retrain.training import optimizers

    for heading, union, prefix in (
        ("Optimizers", optimizers.AnyOptimizer, "train.optimizer"),
        ("Schedules", optimizers.AnySchedule, "train.schedule"),
    ):
        yield from ("", f"## {heading}", "", f"Values of `{prefix}.name`.")
        for model in union.__args__[0].__args__:
            name = model.model_fields["name"].annotation.__args__[0]
            yield from ("", f"### {heading[:-1]} `{name}`", "", first_line(model), "")
            yield from table(rows(model, prefix, f"{prefix.rpartition('.')[2]}.{name}", skip=("name",)))


def params_page(listed=None):
    """The text of reference/params.md; only with the choices of some names, if they are given."""
    lines = [PARAMS_HEAD.rstrip("\n")]
    for stage, path in SECTIONS.items():
        lines += ["", f"## Section `{stage}`", "", *table(rows(attribute(path), stage, stage))]
    for path, (heading, class_name) in CHOICES.items():
        lines += chosen(path, heading, class_name, listed)
    lines += unions()
    return "\n".join(lines) + "\n"


def help_of(command, name):
    """A command's help as the terminal shows it."""
    settings = {**retrain.context_settings, **command.context_settings, "terminal_width": 100, "max_content_width": 100}
    context = click.Context(command, info_name=name, **settings)
    return command.get_help(context)


def cli_page():
    """The text of reference/cli.md."""
    lines = [CLI_HEAD.rstrip("\n")]
    lines += [f"| `{name}` | {effect} |" for name, effect in ENVIRONMENT.items()]
    pages = {"retrain": retrain}
    pages |= {f"retrain {name}": retrain.get_command(None, name) for name in retrain.list_commands(None)}
    pages |= {f"python3 src/{stage}.py": importlib.import_module(stage).main for stage in params.STAGES}
    for name, command in pages.items():
        lines += ["", f"## `{name}`", "", "```text", help_of(command, name), "```"]
    return "\n".join(lines) + "\n"


PAGES = {"params.md": params_page, "cli.md": cli_page}

if __name__ == "__main__":
    for page, text in PAGES.items():
        (HERE / "reference" / page).write_text(text(), encoding="utf-8")
