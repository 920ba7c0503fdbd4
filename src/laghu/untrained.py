"""The report of a stage that trains nothing: a model that is only cut, trimmed or converted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from laghu import quiet
from laghu.energy import track
from laghu.training import TrainingReport


@contextmanager
def reported(country: str) -> Iterator[dict[str, Any]]:
    """A `TrainingReport` of no steps, as a dictionary that is filled in when the block ends.

    Args:
        country: ISO code of the grid whose carbon intensity is assumed.
    """
    report: dict[str, Any] = {}
    with quiet.working(), track(country) as energy:
        yield report
    report |= TrainingReport(
        steps=0, seconds=energy.seconds, resumed_at_step=0, energy_kwh=energy.kwh, co2e_kg=energy.co2e_kg,
        energy_components=energy.components, energy_source=energy.source, log=[],
    ).as_dict()
