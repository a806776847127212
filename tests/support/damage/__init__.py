"""Damaged inputs, made by a seed: what each damages, and the command that meets it.

A new kind of damage is a function in one of these modules that yields cases, and an entry in `KINDS`.
`tests/hostile/test_damage.py` runs them.
"""

from collections.abc import Callable, Iterator

from support.damage.cases import EITHER, READ, SEED, Case, Damage, changed, draw_for, paths_of, replace_at, written
from support.damage.command_lines import STAGES, command_lines, rows_to_predict, stores
from support.damage.models import descriptions, weights
from support.damage.parameters import downloads, parameter_changed, parameters, params_files, recipes
from support.damage.stage_files import CHECKPOINTS, between_stages, checkpoints, locks, reports
from support.damage.tables import strange_names, tables

__all__ = [
    "CHECKPOINTS", "EITHER", "KINDS", "READ", "SEED", "STAGES", "Case", "Damage", "changed", "draw_for", "parameter_changed",
    "paths_of", "replace_at", "strange_names", "written",
]  # fmt: skip

KINDS: dict[str, Callable[[], Iterator[Case]]] = {
    "tables": tables,
    "between_stages": between_stages,
    "descriptions": descriptions,
    "weights": weights,
    "reports": reports,
    "parameters": parameters,
    "params_files": params_files,
    "command_lines": command_lines,
    "rows_to_predict": rows_to_predict,
    "recipes": recipes,
    "stores": stores,
    "checkpoints": checkpoints,
    "locks": locks,
    "downloads": downloads,
}
