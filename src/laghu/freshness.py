"""Is a stored result still what the code, the parameters and the data would give?"""

from functools import cache

from laghu import corpora, paths, provenance, texts
from laghu.errors import LaghuError
from laghu.records import RunRecord
from laghu.spec import RunSpec

corpus_sha256 = cache(lambda name: corpora.load(name).sha256)
text_sha256 = cache(texts.sha256)


def data_sha256(spec: RunSpec) -> str:
    """Digest of all text that a run depends on: its corpus, and the unlabelled text that it pretrains or distils on.

    Raises:
        LaghuError: the corpus or the text can't be had.
    """
    return provenance.digest(corpus_sha256(spec.corpus), *map(text_sha256, unlabelled(spec)))


def unlabelled(spec: RunSpec) -> list[str]:
    """Names in `texts.NAMES` of what a run pretrains or distils on, in the order of use."""
    names = []
    if spec.technique != "classical" and not spec.model:
        names.append(spec.pretraining.text)
    match spec.trained_as:
        case "ensemble_distillation" | "student":
            names.append(spec.ensemble.text)
        case "two_step_distillation" if spec.two_step.taught_by == "ensemble":
            names.append(spec.ensemble.text)
        case "vocabulary_trimming":
            names.append(spec.vocabulary.text)
    return names


def run_key(spec: RunSpec, data: str) -> str:
    """Key of a run on data of that digest; see `provenance.run_key`.

    The study's name is no part of it, nor is any parameter that has its default: a parameter added later leaves the key
    of earlier results as it was. That a default has changed shows in the record's `settings`.
    """
    return _run_keys(spec, data)[0]


def _run_keys(spec: RunSpec, data: str) -> list[str]:
    """Keys that are good; see `provenance.run_keys`."""
    parameters = spec.model_dump(exclude_defaults=True, exclude={"study"})
    return provenance.run_keys(spec.technique, parameters, data)


def why_stale(record: RunRecord, spec: RunSpec, data: str) -> str | None:
    """None if the record is what `spec` would give on data of that digest now; otherwise the reason, in a few words."""
    if record.data_sha256 != data:
        return "the data changed"
    differing = differences(record.settings, spec.model_dump(mode="json"))
    if differing:
        return f"parameters changed: {', '.join(differing)}"
    if record.run_key not in _run_keys(spec, data):
        return "its template, code or pinned versions changed"
    return None


def is_current(spec: RunSpec) -> bool:
    """Whether record and executed notebook of this run are on disk and up to date."""
    folder = paths.results(spec.study)
    try:
        record = RunRecord.load(folder / f"{spec.run}.json")
    except LaghuError:
        return False
    return (folder / f"{spec.run}.ipynb").is_file() and why_stale(record, spec, data_sha256(spec)) is None


def differences(recorded: dict, current: dict, prefix: str = "") -> list[str]:
    """Names of the recorded parameters whose current value is another; parameters added since are not compared."""
    names = []
    for name, value in recorded.items():
        if isinstance(value, dict) and isinstance(current.get(name), dict):
            names += differences(value, current[name], f"{prefix}{name}.")
        elif name not in current or current[name] != value:
            names.append(prefix + name)
    return names
