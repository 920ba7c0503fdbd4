"""CSV files, the one place that writes them: none of their texts is a formula where a spreadsheet opens them.

A spreadsheet computes a cell that begins like a formula, even one that a CSV file quotes. An apostrophe before it says
that it is text. Numbers stay as they are, negative ones too.

Source: OWASP, CSV Injection.
"""

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd

from laghu.errors import LaghuError

# The signs of full width count where a spreadsheet is set to Chinese or Japanese.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def inert(cell: Any) -> Any:
    """The cell, as text if it is one that a spreadsheet would compute; carriage returns are line feeds.

    Python's writer does not quote the former, and to others they end a row.
    """
    if not isinstance(cell, str):
        return cell
    apostrophe = "'" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else ""
    return apostrophe + cell.replace("\r\n", "\n").replace("\r", "\n")


def write(frame: pd.DataFrame, file: Path | None = None, *, index: bool = True, **form: Any) -> str | None:
    """A table as CSV with inert cells, headings and row names; as text where no file is given.

    Args:
        form: of the numbers, as `pandas.DataFrame.to_csv` takes it.
    """
    safe = frame.apply(lambda column: column.astype(object).map(inert) if _holds_text(column.dtype) else column)
    safe.columns, safe.index = _inert_names(frame.columns), _inert_names(frame.index)
    return safe.to_csv(file, index=index, lineterminator="\n", **form)


def again(text: str) -> str:
    """CSV of others with inert cells.

    Raises:
        LaghuError: it is none.
    """
    try:
        cells = pd.read_csv(io.StringIO(text), header=None, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LaghuError(f"this is no CSV: {str(error).strip()}") from None
    return write(cells, index=False, header=False)


def _holds_text(kind: Any) -> bool:
    return not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind))


def _inert_names(names: pd.Index) -> pd.Index:
    safe = names.map(lambda name: tuple(map(inert, name)) if isinstance(name, tuple) else inert(name))
    return safe.set_names([inert(name) for name in names.names])
