"""From a reader's files to a folder for each pruning level, step by step; a notebook and a command call the steps.

    files -> report on the data -> splits -> unpruned and pruned models -> measurements -> folders, page
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from laghu import corpora, durable, freshness, making, paths
from laghu.errors import LaghuError
from laghu.own import checks, delivery, page, tables
from laghu.own.checks import Report
from laghu.own.delivery import Delivered
from laghu.own.runs import base_config, positions, runs
from laghu.own.settings import Settings
from laghu.spec import RunSpec

DATA, RECORDS, REPORT = "data", "records", "report.json"
PAGE = "report.html"


@dataclass(frozen=True)
class Prepared:
    """Texts that are checked and split, on disk where runs look for them; `max_length` tokens are read of each."""

    settings: Settings
    report: Report
    labels: list[str]
    max_length: int

    @property
    def folder(self) -> Path:
        return self.settings.folder / DATA


def prepare(settings: Settings) -> Prepared:
    """Check everything that can be before any work, and write splits and report.

    Raises:
        LaghuError: files, model or settings that can't be used, or a folder that holds something else.
    """
    out = settings.folder
    if out.exists() and not (out / DATA / corpora.OWN_FILE).is_file() and (not out.is_dir() or any(out.glob("[!.]*"))):
        raise LaghuError(f"{out} is there already, and not from an earlier call; name another folder as out")
    config = base_config(settings)
    found, files = tables.read(_source(settings.data), settings.text, settings.label, settings.split)
    frames = tables.split(found)
    report = checks.report(found, frames, files)
    train = frames["train"]["text"].tolist()
    if config is None:
        length = settings.max_length or checks.length_for(2 * report.words["p95"], positions(config))
    else:
        most = positions(config)
        read = checks.tokens(train, _tokenizer(settings, config.vocab_size), settings.max_length)
        length = settings.max_length or checks.length_for(read.p95, most)
        report = report.model_copy(update={"tokens": read})
    if length > positions(config):
        raise LaghuError(f"max_length {length} exceeds the {positions(config)} positions of the model")
    labels = sorted({label for frame in frames.values() for label in frame["label"]})
    with _writing(out / DATA), durable.replacing_folder(out / DATA) as working:
        corpora.write_own(
            working, labels, frames, files, licence=settings.licence or "not stated", citation=Path(settings.data).name,
            note="A reader's own texts, checked and split by laghu compress.",
        )
        (working / REPORT).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    for digest in (freshness.corpus_sha256, freshness.text_sha256):  # another corpus may stand under this name now
        digest.cache_clear()
    return Prepared(settings, report, labels, length)


def compress(settings: Settings, say: Callable[[str], None]) -> Path:
    """All steps; returns the page that reports on them. What an earlier call has trained is found again.

    Args:
        say: is told a line now and then.

    Raises:
        LaghuError: as `prepare`, or this machine can't do it.
    """
    prepared = prepare(settings)
    for finding in prepared.report.findings:
        say(f"{finding.level}: {finding.text}")
    made = [deliver(prepared, run, say) for run in runs(settings, prepared.labels, prepared.max_length)]
    return finish(prepared, made)


def deliver(prepared: Prepared, run: RunSpec, say: Callable[[str], None]) -> Delivered:
    """Train, measure and write one model: its folder, and its record beside those of the others.

    Raises:
        LaghuError: as `making.make`, or the folder can't be written.
    """
    name = delivery.name_of(run)
    made = making.make(run, lambda step: say(f"{name}: {step.lower()}"))
    records = prepared.settings.folder / RECORDS
    made.record.save(records)
    folder = prepared.settings.folder / name
    with _writing(folder), durable.replacing_folder(folder) as working:
        delivered = delivery.write(working, name, made, prepared.settings, prepared.report)
    clean = delivered.record.accuracy.clean.value
    say(f"{name}: accuracy {clean:.1%} on clean test rows, {delivered.integers.accuracy.clean.value:.1%} in int8")
    return delivered


def finish(prepared: Prepared, made: list[Delivered]) -> Path:
    """Write the page on all models; returns its path."""
    out = prepared.settings.folder
    names = {each.name for each in made}
    with _writing(out), durable.replacing(out / PAGE) as part:
        for old in out.glob(f"{delivery.PRUNED}[1-9]*"):  # of levels that an earlier call was asked for
            if old.name not in names and (old / delivery.CARD).is_file():
                shutil.rmtree(old)
        part.write_text(page.html(prepared.settings, prepared.report, made), encoding="utf-8")
    return out / PAGE


def _source(data: str) -> Path:
    """The file, from the working folder or else from the checkout, so that the example is found from anywhere."""
    return Path(data) if Path(data).exists() else paths.root() / data


def _tokenizer(settings: Settings, vocab_size: int) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise LaghuError(
            f"model {settings.model!r} has no tokenizer that can be read ({(str(error).splitlines() or [''])[0]})"
        ) from error
    # Where a folder has no vocabulary, transformers makes a tokenizer that knows nothing.
    if not tokenizer.is_fast or len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise LaghuError(f"model {settings.model!r} has no fast tokenizer with a vocabulary; save it with one")
    if len(tokenizer) > vocab_size:
        raise LaghuError(
            f"model {settings.model!r} knows {vocab_size:,} tokens and its tokenizer {len(tokenizer):,}; save it with "
            "its own"
        )
    return tokenizer


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """
    Raises:
        LaghuError: it can't be written.
    """
    try:
        yield
    except OSError as error:
        raise LaghuError(f"{target} can't be written: {error.strerror or error}") from error
