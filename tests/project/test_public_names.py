"""Every module lists in `__all__` what other modules use, and nothing else. Everything else in it is private."""

import pytest
from support.imports import modules
from support.public_names import declared, used_by_others

PACKAGE = [name for name, path in modules().items() if name.startswith("retrain") and path.stat().st_size]


@pytest.mark.parametrize("module", PACKAGE)
def test_all_lists_what_others_use(module):
    used = used_by_others()[module]
    assert set(declared(module) or ()) == used, f"set __all__ of {module} to {sorted(used)}"
