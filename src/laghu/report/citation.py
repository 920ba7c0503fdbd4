"""CITATION.cff as BibTeX."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

import yaml

from laghu import paths
from laghu.errors import LaghuError

# BibTeX's name for a kind of work.
_ENTRIES = {"software": "software", "article": "article", "conference-paper": "inproceedings"}


def file() -> Path:
    """The citation file of this checkout."""
    return paths.root() / "CITATION.cff"


def load() -> dict[str, Any]:
    """What the citation file says.

    Raises:
        LaghuError: there is none, or it is no YAML mapping.
    """
    if not file().is_file():
        raise LaghuError(f"no {file().name} in {file().parent}")
    found = yaml.safe_load(file().read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise LaghuError(f"{file().name} is not a mapping; it begins with cff-version")
    return found


def bibtex(work: Mapping[str, Any]) -> str:
    """One work of a citation file as a BibTeX entry: the file itself, or one of its references.

    Raises:
        LaghuError: a kind of work that is not known here, or no title or author.
    """
    kind = work.get("type", "software")
    if kind not in _ENTRIES:
        raise LaghuError(f"a work of type {kind!r}; there are {', '.join(_ENTRIES)}")
    for needed in ("title", "authors"):
        if not work.get(needed):
            raise LaghuError(f"a work without {needed} can't be cited")
    year = str(work.get("year") or str(work.get("date-released", ""))[:4])
    fields = {
        "title": f"{{{work['title']}}}",
        "author": " and ".join(map(_author, work["authors"])),
        "year": year,
        "booktitle": work.get("collection-title"),
        "version": work.get("version"),
        "license": work.get("license"),
        "doi": work.get("doi"),
        "eprint": _arxiv(work.get("identifiers", [])),
        "url": work.get("url") or work.get("repository-code"),
    }
    if fields["eprint"]:
        fields["archiveprefix"] = "arXiv"
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{_ENTRIES[kind]}{{{_key(work, year)},", *lines, "}"])


def _author(person: Mapping[str, str]) -> str:
    if "name" in person:  # of a group, which BibTeX would take apart
        return f"{{{person['name']}}}"
    return f"{person['family-names']}, {person['given-names']}"


def _arxiv(identifiers: Sequence[Mapping[str, str]]) -> str | None:
    numbers = (each["value"].removeprefix("arXiv:") for each in identifiers if each["value"].startswith("arXiv:"))
    return next(numbers, None)


def _key(work: Mapping[str, Any], year: str) -> str:
    """The first author's name, the year and the title's first word of weight, e.g. mirashi2024importance."""
    first = work["authors"][0]
    if "family-names" not in first:
        return f"{_letters(work['title'].split(':')[0])}{year}"
    words = [letters for letters in map(_letters, work["title"].split()) if letters]
    of_weight = next((word for word in words if len(word) > 4), "".join(words[:1]))
    return f"{_letters(first['family-names'])}{year}{of_weight}"


def _letters(text: str) -> str:
    """What BibTeX takes in a key: the letters, small and without accents."""
    return "".join(filter(str.isalpha, normalize("NFKD", text.lower())))
