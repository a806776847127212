"""Every module lists in `__all__` what other modules use, and nothing else. Everything else in it is private."""

from support.imports import modules
from support.public_names import declared, used_by_others

PACKAGE = [name for name, path in modules().items() if name.startswith("retrain") and path.stat().st_size]


def test_all_lists_what_others_use():
    used = {module: used_by_others()[module] for module in PACKAGE}
    wrong = {module: sorted(names) for module, names in used.items() if set(declared(module) or ()) != names}
    assert wrong == {}, "set __all__ of these modules to these names"
