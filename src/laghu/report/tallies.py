"""Tallies of tests that count, such as the kill test: what they counted, and with what."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from laghu import paths
from laghu.errors import LaghuError
from laghu.report import cost
from laghu.report.sources import Source


def file_of(name: str) -> Path:
    return paths.results("robustness") / f"{name}.json"


def load(name: str) -> dict[str, Any] | None:
    """The tally of that name; None where the test has not been run.

    Raises:
        LaghuError: the file is no tally.
    """
    file = file_of(name)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content | {"counts": dict(content["counts"])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise LaghuError(f"{file} is no tally; run the test again") from None


def flat(counts: dict[str, Any]) -> dict[str, int]:
    """Counts by their name, those of a group by its name, a slash and their own."""
    return {
        name if part is None else f"{name}/{part}": count
        for name, value in counts.items()
        for part, count in (value.items() if isinstance(value, dict) else [(None, value)])
    }


def anchor(name: str) -> str:
    """The place of a tally's table."""
    return f"tally-{name}"


def source(name: str) -> Source | None:
    """Where its counts come from; None where the test has not been run.

    Raises:
        LaghuError: the file is no tally.
    """
    if (tally := load(name)) is None:
        return None
    ended = datetime.fromisoformat(tally["ended"])
    return Source(
        study="", name=name, anchor=anchor(name), row_anchor=anchor(name), commit=tally["commit"],
        machine=cost.processor(tally["hardware"]), begun=ended - timedelta(seconds=tally["seconds"]), ended=ended,
        seed=tally["seed"], key=None, file=file_of(name),
    )
