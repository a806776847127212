"""`retrain add`: from a file to a dataset of the pipeline."""

import datetime as dt
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain import cli, environment, files, params, schema, yaml_files
from retrain.errors import RetrainError, printable
from retrain.pipeline import dvc_yaml
from retrain.pipeline.added_files import Fetched, check_copies, fetched, optional

import click

if TYPE_CHECKING:
    from retrain.data.inspection.column import Column
    from retrain.data.inspection.dialect import Guess
    from retrain.data.reading.file_format import Format
    from retrain.data.reading.sql_table import Table
    from retrain.pipeline.blocks import Dataset

__all__ = ["command"]


FEWEST = 20
"""Rows below which nothing can be learned and tested."""
FAR = 1.5
"""How much the share of a split may differ from what it should be, as a factor."""
LISTED = 40
"""Columns that are printed."""
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "\\t": "\t"}


@click.command(
    epilog=cli.examples(
        "retrain add reviews reviews.csv --target stars",
        "retrain add homes https://example.org/homes.csv --target price --leave-out agent",
        "zcat visits.tsv.gz | retrain add visits - --target returned --group patient",
        "retrain add wine wine.csv --target quality --predict label --dry-run",
    )
)
@click.argument("name")
@click.argument("source", metavar="FILE")
@click.option(
    "--target", required=True, help="The column to predict; without a header its number, from 1 (-1 is the last)."
)
@click.option("--predict", type=click.Choice(["label", "number"]), help="What the target is.")
@click.option(
    "--text", "texts", multiple=True, help="A column with texts. All column options can be repeated, or take a,b,c."
)
@click.option("--numbers", multiple=True, help="A column with numbers.")
@click.option("--categories", multiple=True, help="A column with one of a set of values.")
@click.option("--dates", multiple=True, help="A column with dates or times.")
@click.option("--leave-out", multiple=True, help="A column that the model must not see.")
@click.option("--separator", help="The sign between values: , ; | tab or space.")
@click.option("--decimal", type=click.Choice([".", ","]), help="The decimal mark.")
@click.option(
    "--thousands", type=click.Choice([",", ".", " ", "'", "_"]), help="The sign between groups of three digits."
)
@click.option("--encoding", help="The encoding of the text, such as cp1252.")
@click.option("--units", multiple=True, help="A sign or a word around numbers that is left out, such as kg.")
@click.option("--missing", multiple=True, help="A value that stands for a missing one, such as -999.")
@click.option("--date-format", help="How dates are written, such as %d/%m/%Y.")
@click.option("--header/--no-header", default=None, help="Whether the first line of the file names the columns.")
@click.option("--test-file", help="The official test rows: a path or a URL.")
@click.option("--group", help="Rows with the same value in this column stay in the same split.")
@click.option("--time", help="A column with dates: the newest rows are the test split.")
@click.option("--dry-run", is_flag=True, help="Show everything, write nothing.")
@cli.one_line_errors
def command(name: str, source: str, **options: Any) -> None:
    """Add a dataset: look at a table, and write its block of parameters.

    FILE is a path, a URL, or - for standard input: CSV, JSON lines or Parquet, which may be compressed with gzip or zstd.
    Prints what the columns hold and why, and what is odd about the rows. Each guess has an option.
    To undo it: `retrain remove NAME`.
    """
    workspace = environment.workspace()
    is_look = options["dry_run"] and name in known_datasets(workspace)  # at new rows of a dataset
    if not is_look:
        check_name(workspace, name)
    with fetched(workspace, name, source) as file, optional(workspace, name, options["test_file"]) as test:
        sources = [found for found in (file, test) if found is not None]
        if not is_look:
            check_copies(workspace, sources)
        dataset, facts = inspected(name, file, test, options)
        for line in report(dataset, facts):
            click.echo(printable(line))
        if options["dry_run"]:
            click.echo("\nparams.yaml would have:")
            from retrain.pipeline.blocks import block_lines

            click.echo("\n".join(block_lines(dataset)))
            return
        with dvc_yaml.editing(workspace):
            check_name(workspace, name)
            check_copies(workspace, sources)
            written = write(workspace, dataset, facts, sources)
    click.echo("\nWrote " + "\n      ".join(written))
    click.echo(f"Next: make repro DATASET={name}")


def known_datasets(workspace: Path) -> Mapping[str, Any]:
    """The blocks of all datasets, which may be none: this command writes the first one, too."""
    content = params.content_of(workspace)
    is_empty = content is None or (isinstance(content, Mapping) and not content.get("datasets"))
    return {} if is_empty else params.datasets(workspace)


def check_name(workspace: Path, name: str) -> None:
    """Raise RetrainError if a dataset can't have this name, or has it already."""
    known = known_datasets(workspace)
    params.check_name(name)
    if name in known:
        rows = f"if the file has new rows, look at them with --dry-run, and replace its file in data/raw/{name}/"
        hint = f"choose another name, or remove it first: retrain remove {name}; {rows}"
        raise RetrainError(f"dataset '{name}'", f"exists in {params.FILE}", hint)
    alike = {name.lower().replace("_", "-"): name for name in map(str, known)}  # as DVC names artifacts
    if (twin := alike.get(name.lower().replace("_", "-"))) is not None:
        raise RetrainError(f"dataset '{name}'", f"differs from '{twin}' only in case or '_'", "choose another name")


def inspected(
    name: str, file: Fetched, test: Fetched | None, options: Mapping[str, Any]
) -> "tuple[Dataset, dict[str, Any]]":
    """The dataset that a file makes, and the facts about it for data.json.

    Raises:
        RetrainError: the file can't be read, an option does not fit it, or nothing can be learned from it.
    """
    from retrain.data.inspection.columns import columns_of
    from retrain.data.inspection.dialect import Wishes, guessed_table
    from retrain.data.inspection.oddities import classes_of, oddities
    from retrain.pipeline.blocks import Dataset

    wishes = Wishes(format=wished_format(options, file), header=options["header"], predict=options["predict"])
    target = "" if wishes.header is False else options["target"]
    with guessed_table(file.path, file.shown, wishes, target) as (table, guess):
        target = column_named(options["target"], guess)
        if len(table) < FEWEST:
            rows = "1 row, which is" if len(table) == 1 else f"{len(table)} rows, which are"
            raise RetrainError(file.title, f"has {rows} too few to learn from", "add rows")
        extra = {key: None if options[key] is None else column_named(options[key], guess) for key in ("group", "time")}
        for own in filter(None, extra.values()):
            table.column(own)
        columns = columns_of(table, target, replace(wishes, kinds=wished_kinds(options, guess, target, extra)))
        columns = [with_groups(table, own) if own.name == extra["group"] else own for own in columns]
        columns = [with_time(table, own) if own.name == extra["time"] else own for own in columns]
        dataset = Dataset(
            name=name,
            title=file.title,
            location=file.location,
            sha256=file.sha256,
            rows=len(table),
            guess=guess,
            columns=columns,
            test=None if test is None else (test.location, test.sha256),
            classes=classes_of(table, columns[0]) if columns[0].predict == "label" else {},
            **extra,
        )
        check_columns(dataset, table)
        check_classes(dataset, table)
        is_divided = test is not None or dataset.group is not None or dataset.time is not None
        shares = shares_of(dataset, table)
        found = oddities(table, columns, shares.get("test", 0.0), is_divided=is_divided)
        odd = [*guess.doubts, *oddities_of_extra(dataset, shares), *found]
        if test is not None:
            dataset, of_test = with_test_file(test, dataset, table)
            odd += of_test
    facts = {
        "file": file.title,
        "rows": dataset.rows,
        "target": target,
        "predict": "label" if dataset.is_label else "number",
        "format": dataset.format.model_dump(mode="json", exclude_defaults=True),
        "classes": dict(dataset.classes),
        "columns": [
            {"name": own.name, "kind": own.kind, "why": own.why, "missing": own.missing, "distinct": own.distinct}
            for own in columns
        ],
        "warnings": odd,
    }
    return dataset, facts


def check_columns(dataset: "Dataset", table: "Table") -> None:
    """Raise RetrainError if there is nothing to learn from or to predict, or a row has no time."""
    from retrain.data.inspection.word_columns import IGNORE, REJECT, verdicts
    from retrain.data.reading.expressions import literal
    from retrain.data.reading.file_format import is_clock
    from retrain.pipeline.blocks import KINDS

    target, missing = dataset.target.name, dataset.target.missing
    if not any(dataset.of_kind(kind) for kind in KINDS):
        reasons = {own.name: own.why for own in dataset.columns[1:] if own.name}
        left = ", ".join(f"{schema.shown(name)} is left out ({why})" for name, why in list(reasons.items())[:3])
        names = [own.name for own in dataset.columns]
        twice = any(names.count(name) > 1 for name in reasons)
        hint = "rename columns with the same name" if twice else way_in(dataset.columns[1:])
        fact = "has no column to learn from" + (f": {left}" if left else "")
        raise RetrainError(dataset.title, fact, hint)
    if dataset.is_label and len(dataset.classes) < 2:
        some = "a single class" if dataset.classes else "no class"
        one = "".join(f", {schema.shown(name)}" for name in dataset.classes)
        fact = f"has {some} in '{target}'" + (f"{one}, and {missing:,} rows without one" if missing else "")
        hint = "write a class in them too, such as no" if missing else "add rows of another class"
        for name, counts in ((own.name, verdicts(table, own.name)) for own in dataset.columns[1:] if not missing):
            if REJECT in counts:
                ignored = f" --missing {IGNORE}" if IGNORE in counts else ""
                hint = f"'{name}' tells whether it is right: to predict that, use --target {name}{ignored}"
        raise RetrainError(dataset.title, fact, f"{hint}, or choose another target")
    for own in [own for own in dataset.columns if own.name == dataset.time]:
        if is_clock(own.date_format):
            hint = "write day and time in one column, or leave out --time"
            raise RetrainError(f"--time '{own.name}'", "holds times of day without a day", hint)
        absent = ", ".join(map(literal, ("", *table.format.missing, *own.markers, *own.sentinels)))
        place = table.column(own.name)
        for row, value in table.select(f"rowid, {place}", f"where {place} in ({absent}) order by rowid limit 1"):
            fact = f"holds {schema.shown(value)}, which is not a time" if value else "has no time"
            raise RetrainError(table.place(row, own.name), fact, "enter it, remove the row, or leave out --time")
        if own.distinct < (needed := max(2, 1 + len(dataset.shares))):
            fact = f"has too few different times for the splits ({own.distinct}, and {needed} are needed)"
            raise RetrainError(f"--time '{own.name}'", fact, "add rows of other times, or leave out --time")
    needed = 2 if dataset.test is not None else 3
    if dataset.groups is not None and dataset.groups < needed:
        fact = f"has too few groups for the splits ({dataset.groups}, and {needed} are needed)"
        raise RetrainError(f"--group '{dataset.group}'", fact, "add rows of other groups, or leave out --group")


def way_in(columns: "Sequence[Column]") -> str:
    """What to do about a table all of whose inputs are left out."""
    for own in columns:
        for doubt in own.doubts:
            return doubt.rpartition(": ")[2]
    for own in columns:
        if own.option:
            used = f"--{own.option} {shlex.quote(own.name)}"
            return f"if one of them tells something about the target, say what it holds, as in {used}"
    return "add columns that tell something about the target"


def check_classes(dataset: "Dataset", table: "Table") -> None:
    """Raise RetrainError if classes have too few different rows to learn from and to test: equal rows share a split."""
    from retrain.pipeline.blocks import KINDS

    if not dataset.is_label or dataset.test or dataset.group or dataset.time:
        return
    used = [dataset.target.name, *(name for kind in KINDS for name in dataset.of_kind(kind))]
    columns, classes = list(map(table.column, used)), len(dataset.classes)
    (different,) = table.ask(f"count(distinct hash({', '.join(columns)})) filter ({columns[0]} <> '')")
    if different < classes + 2:
        fact = f"has {classes:,} classes, but only {different:,} different rows, so too few are left to test"
        raise RetrainError(dataset.title, fact, "add rows with other inputs")


def with_groups(table: "Table", column: "Column") -> "Column":
    """The column of groups, with their number and those that seem to be written in several ways."""
    from retrain.data.inspection.word_columns import alike
    from retrain.data.repairs import one_spelling

    value = table.column(column.name)
    groups = {*one_spelling(text for (text,) in table.select(f"distinct {value}", f"where {value} <> ''")).values()}
    return replace(column, distinct=len(groups), spellings=tuple(next(iter(alike(sorted(groups))), ())))


def with_time(table: "Table", column: "Column") -> "Column":
    """The column of times, with the format of its dates, also if the model does not see it or takes it for numbers."""
    from retrain.data.inspection.columns import column_of
    from retrain.data.inspection.look import looked_at

    if column.kind == "dates":
        return column
    with looked_at(table, column.name) as look:
        return replace(column, date_format=column_of(look, "dates").date_format)


def shares_of(dataset: "Dataset", table: "Table") -> dict[str, float]:
    """The shares that the splits will have: if times are few, other ones than the block asks for."""
    from retrain.data.splitting import by_time

    if dataset.time is None:
        return dataset.shares
    times = replace(table, format=dataset.format).frame(dates=[dataset.time])[dataset.time]
    assigned = by_time(times, dataset.shares.get("test", 0.0), dataset.shares.get("validation", 0.0))
    return {name: float((assigned == name).mean()) for name in dataset.shares}


def oddities_of_extra(dataset: "Dataset", shares: Mapping[str, float]) -> Iterator[str]:
    """What to know about the column of groups, or of times, and the shares that the splits will have."""
    for own in dataset.columns:
        if own.name == dataset.group and own.missing:
            yield f"{own.missing:,} rows have no '{own.name}': each of them is a group of its own"
    for name, share in dataset.shares.items():
        if not share / FAR < shares[name] < share * FAR:
            fact = f"the {name} split will have {shares[name]:.0%} of the rows instead of {share:.0%}"
            yield f"{fact}: rows of one time stay together, and '{dataset.time}' has few different times"


def with_test_file(test: Fetched, dataset: "Dataset", table: "Table") -> "tuple[Dataset, list[str]]":
    """The dataset with the labels of its official test file, and what is odd about that file; see `oddities_of_test` for errors."""
    from retrain.data.inspection.dialect import swallowed_rows
    from retrain.data.inspection.official_test import (
        check_names,
        classes_of_both,
        oddities_of_order,
        oddities_of_test,
    )
    from retrain.data.reading.file_format import Expected
    from retrain.data.reading.table_files import open_table
    from retrain.pipeline.blocks import KINDS

    inputs = {name for kind in KINDS for name in dataset.of_kind(kind)}
    columns = [dataset.target, *(own for own in dataset.columns if own.name in inputs)]
    names = None if dataset.guess.has_header else dataset.guess.names
    given = dataset.format.of_other_file(has_header=names is None)
    with open_table(test.path, test.shown, given, Expected(names, [own.name for own in columns])) as rows:
        train = replace(table, format=dataset.format)
        check_names(train, rows, columns, dataset.name)
        if dataset.is_label:
            columns[0] = replace(dataset.target, rename=classes_of_both(train, rows, dataset.target))
        odd = [] if (swallowed := swallowed_rows(rows)) is None else [str(swallowed)]
        odd += oddities_of_test(train, rows, columns, dataset.classes, is_by_time=dataset.time is not None)
        odd += oddities_of_order(train, rows, dataset.group, dataset.time)
        return replace(dataset, columns=[columns[0], *dataset.columns[1:]]), odd


def column_named(given: str, guess: "Guess") -> str:
    """The name of a column that the user gave as a name, or as a number if the file has no header."""
    names, has_header = guess.names, guess.has_header
    if (name := schema.column_name(given)) in names:
        return name
    if not has_header and re.fullmatch(r"-?\d+", given) and 0 < abs(int(given)) <= len(names):
        return names[int(given) - 1 if int(given) > 0 else int(given)]
    if not has_header:
        fact = f"does not exist: the file has no header and {len(names)} columns"
        hint = f"give a number from 1 to {len(names)}, or -1 for the last column"
        raise RetrainError(f"column '{given}'", fact, hint)
    nearest = schema.nearest(given, list(filter(None, names)))
    if re.fullmatch(r"-\d+", given):
        nearest = f"the first line counts as the header: give a name, or add --no-header if it is a row ({nearest})"
    raise RetrainError(f"column '{given}'", "does not exist", nearest)


def wished_kinds(
    options: Mapping[str, Any], guess: "Guess", target: str, extra: Mapping[str, str | None]
) -> dict[str, str]:
    """The kinds that the user gave for columns. A column of groups is left out, one of times is a date."""
    kinds: dict[str, str] = {}
    for kind in ("texts", "numbers", "categories", "dates", "leave_out"):
        for given in options[kind]:
            for part in [given] if schema.column_name(given) in guess.names else given.split(","):
                name = column_named(part.strip(), guess)
                if kinds.setdefault(name, kind) != kind:
                    fact = f"is given as {kinds[name]} and as {kind}"
                    raise RetrainError(f"column '{name}'", fact, "remove one of the options")
    if extra["group"] is not None and extra["time"] is not None:
        hint = "remove --time to keep groups together, or --group to test on the newest rows"
        raise RetrainError("--group", "can't be combined with --time: only one of them can decide the splits", hint)
    for key, kind in (("group", "leave_out"), ("time", "dates")):
        if (own := extra[key]) is not None:
            if own == target:
                raise RetrainError(f"--{key}", f"'{own}' is also the target", "choose another column")
            kinds.setdefault(own, kind)
    if target in kinds:
        fact = f"'{target}' is also given as {kinds[target].replace('_', ' ')}"
        raise RetrainError("--target", fact, "remove one of the options")
    return kinds


def wished_format(options: Mapping[str, Any], file: "Fetched") -> "Format":
    """The format that the user gave for a file; raises RetrainError if it can't be one."""
    from retrain.data.inspection.dialect import one_sign
    from retrain.data.reading.database import is_date_format
    from retrain.data.reading.file_format import Format
    from retrain.data.reading.text_files import source_of

    if (written := options["date_format"]) is not None and not is_date_format(written):
        fact, hint = f"{schema.shown(written)} has an unknown code", "use codes such as '%Y-%m-%d %H:%M:%S'"
        raise RetrainError("--date-format", fact, hint)
    separator = SEPARATORS.get(options["separator"], options["separator"])
    if separator is not None and len(separator) > 1:
        fact = f"{schema.shown(separator)} has {len(separator)} signs, but must have one"
        raise RetrainError("--separator", fact, one_sign(separator, source_of(file.path, file.shown)))
    given = {
        "separator": separator,
        "decimal": options["decimal"],
        "thousands": options["thousands"],
        "encoding": options["encoding"],
        "units": options["units"] or None,
        "missing": options["missing"] or None,
        "dates": None if options["date_format"] is None else (options["date_format"],),
    }
    return schema.check({key: value for key, value in given.items() if value is not None}, Format, "the options")


def report(dataset: "Dataset", facts: Mapping[str, Any]) -> Iterator[str]:
    """What was found, in lines for a terminal."""
    guess, form = dataset.guess, dataset.guess.format
    written = [f"values separated by {schema.shown(form.separator)}"] if form.separator not in (None, ",") else []
    written += [f"decimal mark {form.decimal}"] if form.decimal != "." else []
    written += [f"{schema.shown(form.thousands)} between thousands"] if form.thousands else []
    units = sorted({*form.units, *dataset.format.units_in.values()})
    written += [f"{schema.enumerated(units)} left out of numbers"] if units else []
    notes = "".join(f"; {note}" for note in (*written, *guess.notes))
    yield f"{dataset.title}: {dataset.rows:,} rows, {len(dataset.columns)} columns{notes}"
    yield ""
    used = [own for own in dataset.columns if own.kind != "leave_out"]
    shown_columns = used[:LISTED]
    width = min(30, max(len(own.name) for own in shown_columns))
    for own in shown_columns:
        missing = f"; {own.missing:,} missing" if own.missing else ""
        yield f"  {schema.shortened(' '.join(own.name.split()), 30):{width}}  {own.kind:10}  {own.why}{missing}"
    if len(used) > LISTED:
        yield f"  ... {len(used) - LISTED:,} more"
    if dataset.group is not None:
        divided = "stay in the same split" if dataset.test is None else "stay together; the test file keeps its rows"
        yield f"  groups: rows with the same {dataset.group} {divided}"
    left = [own for own in dataset.columns if own.kind == "leave_out" and own.name != dataset.group]
    for why in dict.fromkeys(own.why for own in left):
        names = [own.name or "''" for own in left if own.why == why]
        more = f" and {len(names) - 6:,} more" if len(names) > 6 else ""
        yield f"  left out: {', '.join(names[:6])}{more} ({why})"
    if facts["classes"]:
        classes = facts["classes"]
        total = sum(classes.values())
        shares = [f"{schema.shortened(name, 30)} {count / total:.1%}" for name, count in classes.items()]
        yield f"  classes: {', '.join(shares[:8])}" + (f" and {len(shares) - 8:,} more" if len(shares) > 8 else "")
    for line in facts["warnings"]:
        yield f"  ! {line}"


def write(workspace: Path, dataset: "Dataset", facts: Mapping[str, Any], sources: Sequence[Fetched]) -> list[str]:
    """Write the block, the lines of dvc.yaml, the copies, the card and the facts: all of them, or none. A card that exists stays."""
    from retrain.pipeline.blocks import artifact_lines, artifact_name, block_lines, card, plot_lines

    card_path = workspace / "data" / "raw" / dataset.name / "README.md"
    block, pipeline = (open_sections((workspace / file).read_text("utf-8")) for file in (params.FILE, dvc_yaml.FILE))
    new_block = yaml_files.with_item(block, "datasets", block_lines(dataset))
    check_block(block, new_block, dataset.name)
    new_pipeline = yaml_files.with_item(pipeline, "plots", plot_lines(dataset))
    if artifact_name(dataset.name) not in (yaml_files.parsed(pipeline.encode(), dvc_yaml.FILE).get("artifacts") or {}):
        new_pipeline = yaml_files.with_item(new_pipeline, "artifacts", artifact_lines(dataset))
    texts = {workspace / params.FILE: new_block, workspace / dvc_yaml.FILE: new_pipeline}
    if not card_path.exists():
        texts[card_path] = card(dataset, dt.datetime.now(tz=dt.UTC).date().isoformat(), facts["warnings"])
    copied = {workspace / file.copy_to: file for file in sources if file.copy_to is not None}
    copies = {path: file.path for path, file in copied.items() if not path.exists()}
    facts_path = workspace / "reports" / dataset.name / "data.json"
    with files.replacing(*texts, *copies, facts_path) as drafts:
        draft_of = dict(zip([*texts, *copies, facts_path], drafts, strict=True))
        for path, text in texts.items():
            with files.writing(draft_of[path]):
                draft_of[path].write_text(text, encoding="utf-8")
        for path, source in copies.items():
            with files.writing(draft_of[path]):
                shutil.copyfile(source, draft_of[path])
        own = [path for path in (*texts, *copies) if path.parent == card_path.parent]
        own = [path for path in own if path not in copied or not copied[path].is_only_copy]
        written = {str(path.relative_to(workspace)): files.sha256(draft_of[path]) for path in own}
        files.write_json(draft_of[facts_path], {**facts, "written": written})
    shown = [f"{params.FILE} (datasets.{dataset.name})", f"{dvc_yaml.FILE} (plots and an artifact)"]
    new = [str(path.relative_to(workspace)) for path in (*texts, *copies, facts_path) if path.parent != workspace]
    return [*shown, *new]


def open_sections(text: str) -> str:
    """The text of a YAML file in which an empty section, such as `datasets: {}`, can take an item in block style."""
    return re.sub(
        r"^(datasets|plots|artifacts):[ ]*(\{ *\}|\[ *\]|null|~)(?=[ ]*(#.*)?$)", r"\1:", text, flags=re.MULTILINE
    )


def check_block(before: str, after: str, name: str) -> None:
    """Raise RetrainError if the new params.yaml is not the old one with one more dataset."""
    old, new = (yaml_files.parsed(text.encode(), params.FILE) for text in (before, after))
    if new["datasets"].pop(name, None) is None or new != {**(old or {}), "datasets": (old or {}).get("datasets") or {}}:
        raise RetrainError(params.FILE, "can't be edited in this layout", "lay it out as in the last commit")
