"""What a kill test counts."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Tally:
    """Counts of kills by what they were, of what was looked at, and of what must be none."""

    kills: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    by_way: Counter[str] = field(default_factory=Counter)
    by_whom: Counter[str] = field(default_factory=Counter)
    by_place: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    resumed: int = 0
    completed: int = 0
    other_masks: int = 0
    records: int = 0
    notebooks: int = 0
    stages: int = 0
    lost: int = 0
    half_written: int = 0
    differing: int = 0
    stuck: int = 0
    orphans: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not (self.lost or self.half_written or self.differing or self.stuck or self.orphans)

    def add(self, other: "Tally") -> None:
        """Take the counts of another to these."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def count(self, kind: str, way: str, whom: str, place: str) -> None:
        """One kill more."""
        self.kills += 1
        self.by_kind[kind] += 1
        self.by_way[way] += 1
        self.by_whom[whom] += 1
        self.by_place[place] += 1

    def line(self) -> str:
        kinds = ", ".join(f"{count} of {kind}" for kind, count in sorted(self.by_kind.items()))
        return (f"{self.kills:4} kills ({kinds}), {self.completed} studies complete, lost {self.lost}, "
                f"half-written {self.half_written}, differing {self.differing}, failed {self.stuck}")

    def counts(self) -> dict[str, Any]:
        """By what they are called; those of a kind together."""
        return {
            "kills": self.kills,
            "kills by victim": dict(self.by_kind.most_common()),
            "kills by moment": dict(self.by_way.most_common()),
            "kills by what was killed": dict(self.by_whom.most_common()),
            "kills by what was about to change or just had": dict(self.by_place.most_common()),
            "kills after which the study was resumed and ended complete": self.resumed,
            "studies that ended complete": self.completed,
            "of these, with a pretraining that went on from its middle": self.other_masks,
            "calls": self.calls,
            "records loaded and compared": self.records,
            "notebooks read": self.notebooks,
            "stages loaded and compared": self.stages,
            "finished results lost": self.lost,
            "half-written results": self.half_written,
            "results that differ from the undisturbed study": self.differing,
            "calls that failed by themselves": self.stuck,
            "kernels that outlived their study": self.orphans,
        }

    def lines(self) -> str:
        rows = []
        for name, count in self.counts().items():
            rows.append((name, "" if isinstance(count, dict) else f"{count:,}"))
            rows += [(f"  {part}", f"{number:,}") for part, number in count.items()] if isinstance(count, dict) else []
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {count:>7}".rstrip() for name, count in rows)
