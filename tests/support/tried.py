"""What came of many inputs or limits that were tried."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Tried:
    """How often each thing happened, and the failures in words."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    largest: int = 0
    """Bytes of memory at most, where that is measured."""

    def add(self, what: Mapping[str, object], failure: str = "") -> None:
        """Count what is true of one that was tried; a text if it failed."""
        self.counts["tried"] += 1
        for name, is_so in what.items():
            self.counts[name] += bool(is_so)
        if failure:
            self.failures.append(failure)

    def check(self) -> None:
        """There must be no failure."""
        assert not self.failures, "\n".join(self.failures)

    def __str__(self) -> str:
        counted = ", ".join(f"{name} {number:,}" for name, number in self.counts.items())
        memory = f"; {self.largest / 2**20:,.0f} MB at most" if self.largest else ""
        return f"{counted}, failures {len(self.failures)}{memory}"
