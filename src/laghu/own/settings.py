"""What a reader says of texts and model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from laghu.spec import checked, plain_values


class Settings(BaseModel):
    """Parameters of `make compress`, of `laghu compress` and of `notebooks/compress.ipynb`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    data: str = Field(min_length=1, description="a .csv, .parquet or .jsonl file, or a folder with one for each split")
    model: str | None = Field(None, description="Hugging Face name or folder; None: pretrain a small BERT on the texts")
    text: str = Field("text", min_length=1, description="column that holds the texts")
    label: str = Field("label", min_length=1, description="column that holds the labels")
    split: str | None = Field(None, description="column that says train, validation or test; None: splits are made")
    levels: tuple[Annotated[int, Field(ge=1, le=99)], ...] = Field(
        (25, 50, 75), min_length=1, description="percent of the FFN neurons to remove, one model each"
    )
    out: str = Field("compressed", min_length=1, description="folder that receives everything")
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$", description="ISO 639 code, for the model cards")
    licence: str | None = Field(None, pattern=r"^[a-z0-9.-]+$", description="of the models, as the hub names it")
    country: str = Field("IND", description="ISO code of the grid whose carbon intensity is assumed")
    epochs: float | None = Field(
        None, ge=0, description="of fine-tuning before pruning; None: 5, or 0 for a classifier with the data's labels"
    )
    pruning_epochs: float = Field(5, gt=0)
    learning_rate: float | None = Field(None, gt=0, description="None: 5e-5 x 768 / hidden size, at most 1e-3")
    batch_size: int = Field(32, ge=1)
    max_length: int | None = Field(
        None, ge=8, description="tokens read of a text; None: as many as 95 % of the training texts have"
    )
    pretraining_steps: int = Field(500, ge=1, description="where there is no model")
    seed: int = Field(0, ge=0)

    @field_validator("levels")
    @classmethod
    def _each_once(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(levels)))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """
        Raises:
            LaghuError: an unknown name, a wrong type or a value out of bounds, on one line.
        """
        return checked(cls, values)

    @classmethod
    def from_parameters(cls, namespace: Mapping[str, Any]) -> Self:
        """Build it from a notebook's `globals()`, right after its parameters cell; raises as `of`."""
        return cls.of(plain_values(namespace))

    @property
    def folder(self) -> Path:
        return Path(self.out).resolve()
