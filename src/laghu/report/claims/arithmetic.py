"""Arithmetic on printed numbers: what else must hold if they do."""

import numpy as np
import pandas as pd
from scipy.stats import binom

# Of every test of a difference.
LEVEL = 0.05


def half_unit(printed: str) -> float:
    """Half a unit of a number's last printed place: how far its value can be from what was rounded."""
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def agrees(value: float, printed: str) -> bool:
    """Does the value round to the printed number? Either rounding of a tie will do."""
    return abs(value - float(printed)) <= half_unit(printed) + 1e-9


def speed_ups(decrease: str) -> tuple[float, float]:
    """Lowest and highest speed-up that a printed decrease of time (percent) can stand for."""
    share, half = float(decrease) / 100, half_unit(decrease) / 100
    return 1 / (1 - share + half), 1 / (1 - share - half)


def correct_answers(accuracy: str, rows: int) -> int | None:
    """The whole number of right answers out of `rows` that prints as this accuracy (percent), if there is one."""
    count = round(float(accuracy) / 100 * rows)
    return count if agrees(100 * count / rows, accuracy) else None


def fitting_sizes(accuracies: list[str], sizes: range) -> list[int]:
    """Sizes of a test set for which every printed accuracy (percent) is a whole number of right answers."""
    return [rows for rows in sizes if all(correct_answers(accuracy, rows) is not None for accuracy in accuracies)]


def standard_error(share: float, rows: int) -> float:
    """Binomial standard error of a share of right answers."""
    return float(np.sqrt(share * (1 - share) / rows))


def mcnemar_p(net: int, differing: int) -> float:
    """p of McNemar's exact test, two-sided, for two models of which one has `net` more right answers.

    A table prints the net number alone; the test also needs on how many answers exactly one model is right.

    Args:
        differing: that number; raised to the next possible one, which has the parity of `net` and is at least `net`.
    """
    net = abs(net)
    differing = max(differing, net)
    differing += (differing - net) % 2
    return float(_two_sided(net, np.array(differing)))


def most_differing(net: int, rows: int) -> int | None:
    """Most differing answers, out of `rows`, at which a net difference is still beyond chance; None if at no number."""
    possible = np.arange(abs(net), rows + 1, 2)
    beyond = possible[_two_sided(abs(net), possible) < LEVEL]
    return int(beyond[-1]) if len(beyond) else None


def _two_sided(net: int, differing: np.ndarray) -> np.ndarray:
    """The binomial p of splits as uneven as (differing - net) / 2 to the rest, of the parity of `net`."""
    return np.minimum(1, 2 * binom.cdf((differing - net) // 2, differing, 0.5))


def independent_share(first: float, second: float) -> float:
    """Share of answers on which exactly one of two models is right if they err independently; real ones differ less."""
    return first * (1 - second) + second * (1 - first)


def mean_power(kwh: pd.Series, seconds: pd.Series) -> pd.Series:
    """Watts that energies over times stand for."""
    return 3.6e6 * kwh / seconds


def change_range(base: pd.Series, value: pd.Series, half: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Lowest and highest changes in percent of numbers that were both rounded by up to `half`."""
    return 100 * ((value - half) / (base + half) - 1), 100 * ((value + half) / (base - half) - 1)


def half_step(value: float) -> float:
    """Half the distance from a number to the next in half precision (IEEE 754 binary16)."""
    return float(np.spacing(np.float16(value))) / 2


def on_half_grid(value: float, half: float) -> bool:
    """Is a number, printed with an error of up to `half`, one of half precision?"""
    return abs(float(np.float16(value)) - value) <= half + 1e-9


def encoder_parameters(
    vocabulary: int, hidden: int, layers: int, ffn: int, positions: int, types: int
) -> dict[str, int]:
    """Parameters of a BERT-like masked language model whose decoder is its embedding table.

    Returns:
        `embeddings`, the table of tokens alone, and the `total`.
    """
    norm = 2 * hidden
    embeddings = vocabulary * hidden
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden * ffn + ffn + hidden + 2 * norm
    head = hidden * hidden + hidden + norm + vocabulary
    return {"embeddings": embeddings,
            "total": embeddings + (positions + types) * hidden + norm + layers * layer + head}


def disordered(faster: pd.Series, cost: pd.Series) -> list[tuple[str, str]]:
    """Pairs of rows of which the first is strictly the faster (higher in `faster`) and yet costs more."""
    return [(a, b) for a in faster.index for b in faster.index if faster[a] > faster[b] and cost[a] > cost[b]]
