"""Is a stored result on labelled words still what the code, the parameters and the data would give?"""

from functools import cache

from laghu import freshness, provenance, token_corpora
from laghu.errors import LaghuError
from laghu.records import TokenRecord, token_file
from laghu.spec import TokenRun

corpus_sha256 = cache(lambda name: token_corpora.load(name).sha256)


def data_sha256(run: TokenRun) -> str:
    """Digest of all text that a run depends on: its corpus, and the unlabelled text that it is pretrained on.

    Raises:
        LaghuError: the corpus or the text can't be had.
    """
    unlabelled = [] if run.model else [freshness.text_sha256(run.pretraining.text)]
    return provenance.digest(corpus_sha256(run.corpus), *unlabelled)


def run_key(run: TokenRun, data: str) -> str:
    """Key of a run on data of that digest, as `freshness.run_key`."""
    return _run_keys(run, data)[0]


def _run_keys(run: TokenRun, data: str) -> list[str]:
    """Keys that are good; see `provenance.run_keys`."""
    parameters = run.model_dump(mode="json", exclude_defaults=True, exclude={"study"})
    return provenance.run_keys("token_classification", parameters, data)


def why_stale(record: TokenRecord, run: TokenRun, data: str) -> str | None:
    """None if the record is what `run` would give on data of that digest now; otherwise the reason, in a few words."""
    if record.data_sha256 != data:
        return "the data changed"
    if differing := freshness.differences(record.settings, run.model_dump(mode="json")):
        return f"parameters changed: {', '.join(differing)}"
    return None if record.run_key in _run_keys(run, data) else "its template, code or pinned versions changed"


def is_current(run: TokenRun) -> bool:
    """Whether record and executed notebook of this run are on disk and up to date.

    Raises:
        LaghuError: as `data_sha256`, where there is a record to be held against.
    """
    file = token_file(run.study, run.run)
    try:
        record = TokenRecord.load(file)
    except LaghuError:
        return False
    return file.with_suffix(".ipynb").is_file() and why_stale(record, run, data_sha256(run)) is None
