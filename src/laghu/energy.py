"""Energy and CO2e of a block of code, by codecarbon's offline tracker."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import nan

from codecarbon import OfflineEmissionsTracker
from codecarbon.external.hardware import CPU, GPU, AppleSiliconChip, BaseHardware, Raspberry
from codecarbon.external.ram import RAM
from codecarbon.input import DataSource

from laghu.errors import LaghuError

# Modes of codecarbon's CPU class that read an energy counter; the others go from the processor's name and its load.
_COUNTERS = {"intel_rapl", "windows_emi", "intel_power_gadget"}


@dataclass
class Energy:
    """What a block of `track` took; filled in when the block ends, nan and empty until then.

    Attributes:
        kwh: energy, the sum of `components`.
        co2e_kg: `kwh` times the carbon intensity of the grid.
        seconds: duration of the block.
        components: kWh of "cpu", "gpu" and "ram".
        source: how each component is known: "measured" (an energy counter was read), "estimated" or "absent".
        grid_g_per_kwh: carbon intensity assumed, a yearly mean of the country (codecarbon's table).
    """

    grid_g_per_kwh: float
    kwh: float = nan
    co2e_kg: float = nan
    seconds: float = nan
    components: dict[str, float] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)


def grid_intensity(country: str) -> float:
    """Carbon intensity of a country's electricity, in g CO2e per kWh.

    Raises:
        LaghuError: the country is not in codecarbon's table. codecarbon itself only logs that and goes on.
    """
    table = DataSource().get_global_energy_mix_data()
    if country not in table:
        raise LaghuError(f"country {country!r} is not in codecarbon's table of grids; name its three-letter ISO 3166 "
                         "code, such as IND.")
    return table[country]["carbon_intensity"]


@contextmanager
def track(country: str = "IND") -> Iterator[Energy]:
    """Track the energy of a block: `with track("IND") as energy: ...`, then read `energy`.

    Estimates follow this process and its children; counters can't tell processes apart, so a measured component holds
    whatever else the processor or the GPU did meanwhile. Blocks of 10 s and more give steady figures. Nothing is
    written to disk and nothing is asked of the network.

    Raises:
        LaghuError: unknown country, or codecarbon could not read the machine.
    """
    energy = Energy(grid_intensity(country))
    # Before the constructor, which warns before it looks at log_level.
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    tracker = OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="process",
        # The next lines outrank a codecarbon configuration file or environment of the user. With a given intensity
        # the tracker has nothing to look up, so that energy and CO2e agree and no service is asked.
        force_carbon_intensity_g_co2e_kwh=energy.grid_g_per_kwh,
        emissions_endpoint=None,
        output_methods=[],
        # No lock file, and no signal handlers of codecarbon's own.
        allow_multiple_runs=True,
        log_level="error",
    )
    tracker.start()
    try:
        yield energy
    finally:
        tracker.stop()
        _fill(energy, tracker)


def _fill(energy: Energy, tracker: OfflineEmissionsTracker) -> None:
    # codecarbon swallows its own exceptions; then there is no final reading.
    if (total := getattr(tracker, "final_emissions_data", None)) is None:
        raise LaghuError("codecarbon gave no reading; see the errors it logged above.")
    energy.kwh = total.energy_consumed
    energy.co2e_kg = total.emissions
    energy.seconds = total.duration
    energy.components = {"cpu": total.cpu_energy, "gpu": total.gpu_energy, "ram": total.ram_energy}
    energy.source = dict.fromkeys(energy.components, "absent") | dict(map(_source, tracker._hardware))


def _source(part: BaseHardware) -> tuple[str, str]:
    """Component that a part of codecarbon's machine belongs to, and how its energy is known."""
    match part:
        case CPU():
            return "cpu", "measured" if part._mode in _COUNTERS else "estimated"
        case GPU():
            return "gpu", "measured" if part.gpu_ids else "absent"
        case RAM():
            return "ram", "estimated"
        case AppleSiliconChip():  # powermetrics calls its own figures estimates
            return part.chip_part.lower(), "estimated"
        case Raspberry():
            return part.chip_part.lower(), "measured"
    raise LaghuError(f"codecarbon tracks a {type(part).__name__}, which Laghu does not know.")
