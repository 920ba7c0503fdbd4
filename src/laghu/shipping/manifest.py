"""What a shipped folder holds and where it comes from: the record behind the live page and its model card."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from laghu import paths
from laghu.records import Name, Part, Rows, Stored, Views

NAME = "manifest.json"
CARD = "card.md"
# Bytes of a model that a reader may be asked to load.
MODEL_LIMIT = 12 * 10**6


class File(Part):
    """A file of the folder, gzip-compressed; a page fetches it by its name."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.]*$", description="of a file beside the manifest")
    bytes: int = Field(description="as it is fetched")
    sha256: str = Field(description="of the same bytes")


class Origin(Part):
    """Texts that a model was trained on, or that its teachers were."""

    name: str
    part_of: str = Field(description="the corpus or the unlabelled text that they belong to")
    repository: str | None = Field(description="with the commit; none: the corpus names its files itself")
    rows: int
    licence: str
    citation: str


class Shape(Part):
    """Names are those of `transformers.BertConfig`."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int


class Model(Part):
    """A classifier in 8-bit integers."""

    run: Name = Field(description="of the study, whose model it is")
    stage: str = Field(description="key of its checkpoint")
    shape: Shape
    parameters: int
    weights: File
    vocabulary: File
    accuracy: Views = Field(description="of the integers on the test split")
    macro_f1: Views

    @property
    def files(self) -> list[File]:
        """What a page fetches."""
        return [self.weights, self.vocabulary]

    @property
    def bytes(self) -> int:
        """Of all that."""
        return sum(file.bytes for file in self.files)


class Manifest(Stored):
    """One shipped run and the teacher of its seed."""

    study: Name
    seed: int
    labels: list[str]
    max_length: int = Field(description="tokens that are read of a text, special ones among them")
    small: Model
    teacher: Model | None = Field(description="the unpruned model of the same seed; none: too large for a page")
    corpus: str
    synthetic: bool
    rows: Rows = Field(description="of the test split, in each view")
    text: str = Field(description="the unlabelled text")
    origins: list[Origin]
    licence: str = Field(description="under which the models are given away")
    run_key: str
    data_sha256: str = Field(description="of all text that the run depends on, as its record has it")
    corpus_sha256: str
    commit: str
    versions: dict[str, str]
    settings: dict[str, Any] = Field(description="of the run")
    made: datetime

    @property
    def file(self) -> Path:
        return paths.shipped() / NAME


def load(folder: Path | None = None) -> Manifest | None:
    """The manifest of a shipped folder, of the book's own if none is named; None where nothing is shipped.

    Raises:
        LaghuError: it is no manifest.
    """
    file = (folder or paths.shipped()) / NAME
    return Manifest.load(file) if file.is_file() else None
