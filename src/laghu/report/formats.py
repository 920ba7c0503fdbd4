"""How a number is written: scale, unit and decimals follow from the field of the record that it stands in."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from laghu.errors import LaghuError

_FRACTIONS = {"accuracy", "macro_f1", "agreement", "pruning_level", "reduction", "size"}
_DIGESTS = {"commit", "data_sha256", "run_key"}
_PREFIXES = ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_HOUR, _MINUTE = 3600, 60

# What is left of a difference of equal numbers, in any unit that is shown.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Unit:
    """A value times `factor`, with `decimals`, is in `symbol`."""

    factor: float
    symbol: str
    decimals: int

    def number(self, value: float) -> str:
        """The value without its unit; "–" where there is none, and never a zero for what is not zero."""
        if value is None or math.isnan(value):
            return "–"
        scaled = value * self.factor
        if abs(scaled) < _ROUNDING:
            scaled = 0.0
        text = f"{scaled:,.{self.decimals}f}"
        return f"{scaled:.1g}" if scaled and not float(text.replace(",", "")) else text

    def spread(self, mean: float, deviation: float) -> str:
        """Mean ± standard deviation without the unit; the mean alone where one run gives no deviation or all agree."""
        if math.isnan(deviation) or deviation <= 1e-9 * abs(mean):  # equal values differ by rounding
            return self.number(mean)
        return f"{self.number(mean)} ± {deviation * self.factor:,.{self.decimals}f}"

    def with_symbol(self, number: str) -> str:
        """A number of `number` or `spread`, with the unit behind it."""
        if number == "–" or not self.symbol:
            return number
        return number + self.symbol if self.symbol == "×" else f"{number}\N{NO-BREAK SPACE}{self.symbol}"


def unit(field: str, typical: float) -> Unit:
    """The unit for a field's values, given one of them: 0.0123 kWh reads 12.3 Wh.

    Args:
        field: dotted name as in `laghu.records.frame`, or a derived one of `laghu.report.tables`.
    """
    head, name = field.split(".")[0], field.split(".")[-1]
    if head in _FRACTIONS:
        return Unit(100, "%", 1)
    if head == "difference":
        return Unit(100, "points", 1)
    if head == "comparison":  # finer: its limits are held against a margin of half a point
        return Unit(100, "points", 2)
    if head in {"speed_up", "flop_bound"}:
        return Unit(1, "×", 2)
    if head == "parameters":
        return three_digits(typical, 1e-6, "M")
    if name == "flops_per_token":
        return three_digits(typical, 1e-6, "MFLOP")
    if head == "energy_components" or "kwh" in name.split("_")[:2]:
        return _prefixed(typical, 1e3, "Wh")
    if name.startswith("co2e_kg"):
        return _prefixed(typical, 1e3, "g")
    if name == "grid_g_per_kwh":
        return Unit(1, "g/kWh", 0)
    if name.endswith("seconds"):
        return _duration(typical)
    if head == "latency_ms":
        return three_digits(typical, 1, "ms")
    if name == "tokens_per_second":
        return _prefixed(typical, 1, "tokens/s")
    if name == "model_flops_utilisation":
        return Unit(100, "%", 1)
    if name == "documents_per_second":
        return three_digits(typical, 1, "texts/s")
    if name == "weight_bytes":
        return three_digits(typical, 2**-20, "MiB")
    if name.endswith("bytes"):
        return Unit(2**-20, "MiB", 0)
    if float(typical).is_integer():
        return Unit(1, "", 0)
    return three_digits(typical, 1, "")


def show(field: str, value: Any) -> str:
    """One value as it stands in prose, its unit included.

    Raises:
        LaghuError: the field has no value in this run, or is not a single value.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise LaghuError(f"{field} has no value here")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, str):
        return short(value) if field in _DIGESTS else value
    if not isinstance(value, int | float):
        raise LaghuError(f"{field} is not a single value")
    if field == "seed":
        return str(value)
    if field.endswith("p_value"):
        return f"{value:.3f}" if value >= 0.001 else "< 0.001"
    if field == "surgery_error":
        return f"{value:.1e}"
    scale = unit(field, value)
    return scale.with_symbol(scale.number(value))


def show_spread(field: str, mean: float, deviation: float) -> str:
    """Mean ± standard deviation as it stands in prose, unit included.

    Raises:
        LaghuError: the field has no value in any of the runs.
    """
    if math.isnan(mean):
        raise LaghuError(f"{field} has no value here")
    scale = unit(field, mean)
    return scale.with_symbol(scale.spread(mean, deviation))


def short(digest: str) -> str:
    """First seven characters of a commit or digest, and what is behind a plus sign."""
    head, plus, rest = digest.partition("+")
    return head[:7] + plus + rest


def three_digits(typical: float, factor: float, symbol: str) -> Unit:
    """The unit in which a value times `factor` has three significant digits, or all digits before the point."""
    scaled = abs(typical * factor)
    magnitude = math.floor(math.log10(scaled)) if scaled else 0
    return Unit(factor, symbol, min(max(2 - magnitude, 0), 6))


def _prefixed(typical: float, factor: float, symbol: str) -> Unit:
    size = abs(typical * factor)
    scale, prefix = next((pair for pair in _PREFIXES if size >= pair[0]), _PREFIXES[-1] if size else (1.0, ""))
    return three_digits(typical, factor / scale, prefix + symbol)


def _duration(seconds: float) -> Unit:
    if seconds >= 2 * _HOUR:
        return Unit(1 / _HOUR, "h", 1)
    if seconds >= 2 * _MINUTE:
        return Unit(1 / _MINUTE, "min", 1)
    return three_digits(seconds, 1, "s")
