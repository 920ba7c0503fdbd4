"""Tallies of tests that count: the files that the book's tables are made from (`laghu.report.tally_ext`)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from laghu import measurement, provenance


def save(counts: dict[str, Any], command: str, seed: int, seconds: float, file: Path) -> None:
    """Write counts, by what they are called and those of a kind together, with what it takes to make them again."""
    content = {
        "command": command,
        "counts": counts,
        "seed": seed,
        "seconds": round(seconds),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": provenance.commit(),
        "hardware": measurement.hardware(),
        "versions": provenance.versions(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
