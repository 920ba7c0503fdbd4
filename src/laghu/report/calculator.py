"""What an encoder classifier of any shape weighs and costs, in closed form: the calculator of the explorer's page.

`book/_static/explorer/calculator.js` says the same in JavaScript, and the tests hold the two against each other. Bounds
keep every number below 2^53, so that both count exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from laghu.errors import LaghuError
from laghu.records import CostRecord, RunRecord
from laghu.report.rows import Row, row_of

_TOKEN_TYPES = 2
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}


@dataclass(frozen=True)
class Input:
    """A number that the reader gives, and what is allowed for it."""

    key: str
    label: str
    hint: str
    high: int
    low: int = 1


INPUTS = (
    Input("vocabulary", "Vocabulary", "word pieces", 2_000_000),
    Input("width", "Width", "hidden size", 8_192),
    Input("layers", "Layers", "of the encoder", 128),
    Input("heads", "Heads", "of attention, in a layer", 1_024),
    Input("ffn", "FFN neurons", "in a layer", 32_768),
    Input("length", "Sequence length", "tokens of a text", 8_192),
    Input("positions", "Positions", "longest text it can read", 8_192),
    Input("labels", "Classes", "of the classifier", 100_000),
)


@dataclass(frozen=True)
class Shape:
    """A BERT with a classifier, and the number of tokens of the texts that it reads.

    Raises:
        LaghuError: what `problems` finds.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    ffn: int
    length: int
    positions: int
    labels: int

    def __post_init__(self) -> None:
        if found := problems(asdict(self)):
            raise LaghuError(" ".join(found.values()))


def problems(values: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the values of a shape, in a sentence for each that is; empty if nothing is."""
    found = {}
    for given in INPUTS:
        value = values.get(given.key)
        if not isinstance(value, int) or isinstance(value, bool):
            found[given.key] = f"{given.label}: give a whole number."
        elif value < given.low:
            found[given.key] = f"{given.label}: give {given.low:,} or more."
        elif value > given.high:
            found[given.key] = f"{given.label}: this page counts up to {given.high:,}."
    if not {"width", "heads"} & set(found) and values["width"] % values["heads"]:
        near = " or ".join(f"{heads:,}" for heads in _divisors_around(values["width"], values["heads"]))
        found["heads"] = f"{values['heads']:,} heads can't share a width of {values['width']:,} evenly; {near} can."
    if not {"length", "positions"} & set(found) and values["length"] > values["positions"]:
        found["length"] = (f"{values['length']:,} tokens are more than the {values['positions']:,} positions that the "
                           "model has.")
    return found


def _divisors_around(width: int, heads: int) -> list[int]:
    """The divisors of the width next to a number of heads that is none: one below, and one above where there is one."""
    divisors = [n for n in range(1, width + 1) if width % n == 0]
    below, above = ([n for n in divisors if n < heads], [n for n in divisors if n > heads])
    return below[-1:] + above[:1]


def embeddings(shape: Shape) -> int:
    """Parameters of the embeddings: a vector for each piece, position and type, and a layer norm."""
    return (shape.vocabulary + shape.positions + _TOKEN_TYPES + 2) * shape.width


def encoder(shape: Shape) -> int:
    """Parameters of the layers: four attention projections, two FFN matrices, their biases and two layer norms."""
    width, ffn = shape.width, shape.ffn
    return shape.layers * (4 * width * width + 2 * width * ffn + 9 * width + ffn)


def head(shape: Shape) -> int:
    """Parameters of the pooler and of the classifier on it."""
    return shape.width * shape.width + shape.width + shape.labels * (shape.width + 1)


def parameters(shape: Shape) -> int:
    """All parameters."""
    return embeddings(shape) + encoder(shape) + head(shape)


def flops_per_token(shape: Shape, length: int) -> int:
    """As `laghu.measurement.encoder_flops_per_token`: of the encoder's matrix products, two per multiply-add."""
    width = shape.width
    return 2 * shape.layers * (4 * width * width + 2 * width * shape.ffn + 2 * length * width)


def numbers(shape: Shape, reference: Shape) -> dict[str, int | float]:
    """All that the calculator says of a shape.

    Returns:
        `embeddings`, `encoder`, `head` and `total`, parameters; `flops_per_token` and `flops_per_text`; bytes of the
        weights as `fp32`, `bf16` and `int8`; `bound`, the reference's operations per text of this length over the
        shape's: how much faster it could be at most if time went to the matrix products alone.
    """
    per_token, total = flops_per_token(shape, shape.length), parameters(shape)
    return {
        "embeddings": embeddings(shape), "encoder": encoder(shape), "head": head(shape), "total": total,
        "flops_per_token": per_token, "flops_per_text": per_token * shape.length,
        **{precision: size * total for precision, size in BYTES.items()},
        "bound": flops_per_token(reference, shape.length) / per_token,
    }


def of_record(record: RunRecord) -> Shape | None:
    """The shape of a run's model, where its settings say it all; None of others, such as models cut in other ways.

    What is found has the parameters and the operations that the record counts.
    """
    if record.flops_per_token is None or record.settings["model"]:
        return None
    given = record.settings["student" if record.technique == "student" else "architecture"]
    return _counted(given | {"intermediate_size": record.intermediate_size}, record.timing.sequence_length,
                    record.parameters.total, record.flops_per_token)


def of_cost(record: CostRecord) -> Shape | None:
    """The shape of the paper's encoder as a cost record has it."""
    cell = record.cells[0]
    return _counted(record.settings["shape"], cell.sequence_length, cell.parameters, cell.flops_per_token)


def _counted(given: Mapping[str, int], length: int, total: int, per_token: int) -> Shape | None:
    """The shape with as many classes as the parameters leave room for; None if the counts are not those of any."""
    without = Shape(
        given["vocab_size"], given["hidden_size"], given["num_hidden_layers"], given["num_attention_heads"],
        given["intermediate_size"], length, given["max_position_embeddings"], labels=1,
    )
    labels, rest = divmod(total - parameters(without), without.width + 1)
    if rest or labels < 0 or flops_per_token(without, length) != per_token:
        return None
    return Shape(**asdict(without) | {"labels": 1 + labels})


def known(runs: Sequence[RunRecord], costs: Sequence[CostRecord]) -> dict[str, Shape]:
    """Shapes of a study by their names, each once: of the first row that has it, then of the paper's encoder."""
    found: dict[Shape, str] = {}
    for run in sorted(runs, key=lambda run: (Row.parse(row_of(run.run)).order, run.seed)):
        if (shape := of_record(run)) and not row_of(run.run).startswith("quantization"):
            found.setdefault(shape, Row.parse(row_of(run.run)).label)
    for cost in costs:
        if shape := of_cost(cost):
            found.setdefault(shape, "The paper's encoder")
    return {name: shape for shape, name in found.items()}
