"""Which texts a run was trained on, under what licence, and what follows from that for its weights."""

from collections.abc import Iterable

import pandas as pd

from laghu import freshness, paths, texts
from laghu.corpora import Corpus
from laghu.errors import LaghuError
from laghu.shipping.manifest import Origin
from laghu.spec import RunSpec

# From free to strict: what a licence's text has in it, and how it reads in full.
_TERMS = {
    "CC0": "CC0-1.0", "MIT": "MIT", "Apache-2.0": "Apache-2.0", "CC BY": "CC BY 4.0", "CC BY-SA": "CC BY-SA 4.0",
    "CC BY-NC": "CC BY-NC 4.0", "CC BY-NC-SA": "CC BY-NC-SA 4.0",
}
# Where these are to be read.
ADDRESSES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "MIT": "https://spdx.org/licenses/MIT.html",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/legalcode",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/legalcode",
    "CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    "CC BY-NC-SA 4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode",
}
# What adaptations of texts under CC BY-SA may be given under.
SHARE_ALIKE = frozenset({"CC BY-SA 4.0"})


def of(spec: RunSpec, corpus: Corpus) -> list[Origin]:
    """Every source of the run's corpus and of its unlabelled text, its teachers' included.

    Raises:
        LaghuError: the licence of one is not stated, or the encoder was pretrained elsewhere, on nobody knows what.
    """
    if spec.model:
        raise LaghuError(f"{spec.run} starts from {spec.model}, whose texts are not known here; it can't be shipped")
    labelled = Origin(
        name=corpus.name, part_of=corpus.name, repository=None, rows=len(corpus.splits["train"]),
        licence=corpus.licence, citation=corpus.citation,
    )
    return [labelled, *(origin for name in dict.fromkeys(freshness.unlabelled(spec)) for origin in _of_text(name))]


def strictest(origins: Iterable[Origin]) -> str:
    """The licence that is given to weights: of those of their sources, the one with the most conditions.

    Whether weights are an adaptation of texts is not settled. They are given away as if they were. It is no licence
    that satisfies all sources where these exclude each other; `share_alike` has those for which it may be the wrong
    one.

    Raises:
        LaghuError: a licence is none that can be put in order here.
    """
    return list(_TERMS.values())[max(_strictness(origin) for origin in origins)]


def share_alike(origins: Iterable[Origin]) -> list[Origin]:
    """Those of whose texts an adaptation may be passed on under CC BY-SA, and not with NonCommercial added."""
    return [origin for origin in origins if "CC BY-SA" in origin.licence]


def of_repository(origins: Iterable[Origin]) -> list[Origin]:
    """Those for which nothing but the licence of a repository is known."""
    return [origin for origin in origins if origin.licence.endswith("(repository)")]


def stated_elsewhere(origins: Iterable[Origin]) -> list[Origin]:
    """Those whose licence is not stated where they were taken from, but where they come from."""
    return [origin for origin in origins if origin.licence.startswith("not stated there;")]


def _strictness(origin: Origin) -> int:
    """Place in `_TERMS`, of a text with several licences that of the strictest."""
    found = [place for place, term in enumerate(_TERMS) if term in origin.licence]
    if not found:
        raise LaghuError(f"the licence of {origin.name}, {origin.licence!r}, is none of {', '.join(_TERMS)}")
    return max(found)


def _of_text(name: str) -> list[Origin]:
    if name == "marathi-text":
        raise LaghuError("marathi-text holds sources whose licence is not stated, so no model trained on it is given "
                         "away; train on marathi-licensed")
    if name != "marathi-licensed":
        source = texts.SOURCES[name]
        return [Origin(name=name, part_of=name, repository=None, rows=len(texts.load(name)), licence=source.licence,
                       citation=source.citation)]
    listed = pd.read_csv(paths.root() / "book" / "data" / "marathi_text_sources.csv", dtype=str)
    return [
        Origin(name=row.source, part_of=name, repository=f"{row.repository}@{row.commit}",
               rows=int(row.rows), licence=row.licence, citation=row.citation)
        for row in listed.itertuples() if row.source not in texts.UNLICENSED
    ]
