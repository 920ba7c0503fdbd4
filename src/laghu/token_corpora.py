"""Corpora whose words bear labels, for token classification: named entities and parts of speech.

They have the shape of those in `laghu.corpora`, with words in the place of a text: a `datasets.DatasetDict` with the
splits train, validation and test, and the same three flags, so that `laghu.evaluation.views` reads them as well.

"token-sample" is SYNTHETIC: a seeded grammar writes Marathi sentences with names of people, places and organisations
that are all invented. A SCORE ON IT SAYS NOTHING ABOUT MARATHI; it shows that a run works. Licence: CC0-1.0.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from laghu import corpora, lexicons, paths
from laghu.errors import LaghuError, shown

NAMES = ("mahaner", "ud-marathi", "token-sample")
Task = Literal["ner", "pos"]

# Person, location, organisation, measure, time, date and designation, as MahaNER abbreviates them.
MAHANER_KINDS = ("NEP", "NEL", "NEO", "NEM", "NETI", "NED", "ED")
# The universal tags that the treebank uses: all but SYM.
UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN",
    "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB", "X",
)  # fmt: skip

# Local table of each split and the digest of its cleaned rows, as in `laghu.corpora`.
MAHANER_FILES = {
    "maha_ner_train": "159efe7bdbac1e32816cf5b6785861610cca8d23152862c35869c221a6cfb6a5",
    "maha_ner_validation": "4a05cef4acaaaef6fa855acb4d356c20e60f5ee8295fb2011fdbdd3ebade8948",
    "maha_ner_test": "bcbf33144c236377dfb951f4b3cefb742c3a1dbb8ec8502e372a9966fda49f26",
}
UD_FILES = {
    "ud_marathi_train": "67ef44d6e8c4b97f88c9ece99163452220ee0577f63ba4c9a90c0ba4e3c2db64",
    "ud_marathi_validation": "1d70674a01cb7f68984f33857a60935db056e17f0b01909b55a6afcd1ce511d8",
    "ud_marathi_test": "74e28c7683fab6b1576a6baab2c4f458435d4dfd6999f0f631a53b0aa1578391",
}


@dataclass(frozen=True)
class TokenCorpus:
    """A corpus with labelled words; see `laghu.corpora.Corpus` for what the two have in common.

    Attributes:
        splits: train, validation and test with the columns of `features`. The flags are those of `Corpus`, a
            sentence's text being its words with a space between them.
        labels: all tags in their order, alphabetical; a split may lack some.
        task: "ner", tags in IOB2, scored by entities; or "pos", scored by words (see `laghu.sequence_labels`).
        cleaning: per source file, how many sentences were read, dropped, repaired and kept, and, for "ner",
            stray_inside (see there): tags are left as published.
    """

    name: str
    task: Task
    splits: DatasetDict
    labels: list[str]
    cleaning: dict[str, dict[str, int]]
    sha256: str
    licence: str
    citation: str
    synthetic: bool
    note: str


def features(labels: Sequence[str]) -> Features:
    """The columns of a split: words, a tag for each as a number, and the flags of `laghu.corpora.features`."""
    flags = {flag: Value("bool") for flag in corpora.FLAGS}
    return Features({"tokens": List(Value("string")), "tags": List(ClassLabel(names=list(labels))), **flags})


def load(name: str) -> TokenCorpus:
    """The corpus of that name, one of `NAMES`.

    Raises:
        LaghuError: unknown name; a file is missing, damaged, or not the one that was published.
    """
    match name:
        case "mahaner":
            return _mahaner()
        case "ud-marathi":
            return _ud_marathi()
        case "token-sample":
            return _token_sample()
    raise LaghuError(f"Unknown corpus of labelled words {name!r}; those are {', '.join(NAMES)}.")


def iob2(kinds: Sequence[str]) -> list[str]:
    """The tags of kinds of entities: B- begins one, I- continues it, O is outside; alphabetical."""
    return sorted(["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")])


def stray_inside(tags: Sequence[str]) -> int:
    """How many tags of one sentence break IOB2: an I- that follows neither B- nor I- of its kind."""
    return sum(tag[0] == "I" and before[2:] != tag[2:] for before, tag in pairwise(["O", *tags]))


# ---------------------------------------------------------------- tables


def read_sentences(path: Path, labels: Sequence[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Sentences of one .parquet file with the columns tokens and tags, cleaned, and the counts of what was done.

    Sentences without words are dropped; words in code page 866 mojibake are repaired and their sentence flagged.

    Args:
        labels: the tags that may occur.

    Returns:
        Columns tokens and tags (lists of strings, as long as each other) and mojibake, in the file's order; counts
        rows_read, blanks, mojibake_repaired.

    Raises:
        LaghuError: as `corpora.read_parquet`; a cell is no list, a sentence has more words than tags or fewer, a word
            is blank or holds white space, a tag is unknown; no sentence is left.
    """
    raw = corpora.read_parquet(path, ("tokens", "tags"))
    for row, tokens, tags in raw.itertuples():
        if fault := _fault(tokens, tags, labels):
            raise LaghuError(f"{path}, row {row}: {fault}.")
    filled = [len(tokens) > 0 for tokens in raw["tokens"]]
    if not any(filled):
        raise LaghuError(f"{path} holds no sentence; at least one is needed.")
    frame = raw[filled].map(list)
    repaired = frame["tokens"].map(lambda tokens: [corpora.repair(token) for token in tokens])
    mojibake = repaired != frame["tokens"]
    counts = {"rows_read": len(raw), "blanks": len(raw) - len(frame), "mojibake_repaired": int(mojibake.sum())}
    return frame.assign(tokens=repaired, mojibake=mojibake).reset_index(drop=True), counts


def _fault(tokens: object, tags: object, labels: Sequence[str]) -> str | None:
    """What is wrong with a row, if anything is."""
    for column, cell in (("tokens", tokens), ("tags", tags)):
        if not isinstance(cell, np.ndarray):
            return f"{column} is {shown(cell)}; it must be a list of strings"
    if len(tokens) != len(tags):
        return f"{len(tokens)} words and {len(tags)} tags; give each word one"
    if odd := [token for token in tokens if not isinstance(token, str) or token.split() != [token]]:
        return f"{shown(odd[0])} is not a word; a word has at least one character and no white space"
    if unknown := [tag for tag in tags if not isinstance(tag, str) or tag not in labels]:
        return f"unknown tag {shown(unknown[0])}; the tags are {', '.join(labels)}"
    return None


def _pinned_splits(
    digests: Mapping[str, str], labels: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, int]]]:
    """As `corpora.pinned_tables`, by split and only of Parquet files, since no cell of a CSV file holds a list."""
    folder = paths.data_dir()
    if folder is None:
        raise LaghuError(
            f"{', '.join(f'{stem}.parquet' for stem in digests)} are read from a local folder: set LAGHU_DATA_DIR to "
            "the one that holds them, or choose the corpus 'token-sample'."
        )
    files = {stem: folder / f"{stem}.parquet" for stem in digests}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise LaghuError(f"{folder} lacks {', '.join(missing)}; put the missing files there.")
    frames, counts = {}, {}
    for split, (stem, path) in zip(corpora.SPLITS, files.items(), strict=True):
        frame, counts[path.name] = read_sentences(path, labels)
        if (found := _rows_digest(frame)) != (expected := digests[stem]):
            raise LaghuError(
                f"{path} does not hold the published rows: digest {found}, expected {expected}; fetch it again."
            )
        counts[path.name]["kept"] = len(frame)
        frames[split] = _keyed(frame)
    return frames, counts


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(key=frame["tokens"].map(" ".join).map(corpora.normalise))


def _rows_digest(frame: pd.DataFrame) -> str:
    """Digest of the "word<tab>tag" lines, a blank line after each sentence: the rows as a CoNLL file has them."""
    return corpora.digest(
        line
        for tokens, tags in zip(frame["tokens"], frame["tags"], strict=True)
        for line in (*map("\t".join, zip(tokens, tags, strict=True)), "")
    )


# ---------------------------------------------------------------- the corpora


def _corpus(
    name: str,
    task: Task,
    labels: Sequence[str],
    frames: Mapping[str, pd.DataFrame],
    cleaning: dict[str, dict[str, int]],
    **about,
) -> TokenCorpus:
    flagged = corpora.flagged_against_each_other(frames)
    columns = features(labels)
    number = {tag: index for index, tag in enumerate(labels)}
    splits = {
        split: Dataset.from_dict(
            {
                "tokens": frame["tokens"].tolist(),
                "tags": [[number[tag] for tag in tags] for tags in frame["tags"]],
                **{flag: frame[flag].tolist() for flag in corpora.FLAGS},
            },
            features=columns,
        )
        for split, frame in flagged.items()
    }
    return TokenCorpus(
        name=name,
        task=task,
        splits=DatasetDict(splits),
        labels=list(labels),
        cleaning=cleaning,
        sha256=corpora.identity(labels, flagged, _rows_digest),
        **about,
    )


def _mahaner() -> TokenCorpus:
    labels = iob2(MAHANER_KINDS)
    frames, cleaning = _pinned_splits(MAHANER_FILES, labels)
    for frame, counts in zip(frames.values(), cleaning.values(), strict=True):
        counts["stray_inside"] = int(frame["tags"].map(stray_inside).sum())
    return _corpus(
        "mahaner",
        "ner",
        labels,
        frames,
        cleaning,
        licence="CC BY-NC-SA 4.0",
        citation="Litake et al. 2022, L3Cube-MahaNER, arXiv:2204.06029",
        synthetic=False,
        note="Official test split of L3Cube-MahaNER, but trained and validated on the far smaller official validation "
        "split, so scores are not comparable with those of models trained on the official train split.",
    )


def _ud_marathi() -> TokenCorpus:
    frames, cleaning = _pinned_splits(UD_FILES, UPOS)
    return _corpus(
        "ud-marathi",
        "pos",
        UPOS,
        frames,
        cleaning,
        licence="CC BY-SA 4.0",
        citation="Ravishankar 2017, A Universal Dependencies Treebank for Marathi",
        synthetic=False,
        note="Official splits of the treebank UD Marathi-UFAL with its own division into words; 47 test sentences, so "
        "that intervals are wide.",
    )


def _token_sample() -> TokenCorpus:
    written = sample_sentences()
    start, ends = 0, {"train": SENTENCES * 8 // 10, "validation": SENTENCES * 9 // 10, "test": SENTENCES}
    frames = {}
    for split, end in ends.items():
        tokens, tags = zip(*written[start:end], strict=True)
        frames[split] = _keyed(pd.DataFrame({"tokens": tokens, "tags": tags, "mojibake": False}))
        start = end
    return _corpus(
        "token-sample",
        "ner",
        iob2(list(_NAMES)),
        frames,
        cleaning={},
        licence="CC0-1.0",
        citation="Laghu, invented sentences (laghu.token_corpora)",
        synthetic=True,
        note="Invented sentences with invented names: they show that a run works, and say nothing about how well a "
        "model finds names in Marathi.",
    )


# ---------------------------------------------------------------- the invented sentences

SENTENCES = 300

# Invented names by their kind in MahaNER. Places and organisations are in the form that takes a postposition.
_NAMES: dict[str, tuple[str, ...]] = {
    "NEL": (
        "चांदवेळ", "सावरमाळ", "गवतमाळ", "दवनगर", "उंबरघाटपूर", "मोहोरपूर", "पाणवठेनगर", "निळझरी", "शेतमाळपूर",
        "नव्या चांदवेळ", "जुन्या मोहोरपूर", "हिरवळ खुर्द", "हिरवळ बुद्रुक", "पिंपळडोह कोंड",
    ),
    "NEO": (
        "नीलझेप मोबिलिटी", "पवनझेप मोटर्स", "रानवारा ऑटो", "लोकवेध", "सह्यवेग सहकारी बँके", "मोहोर शिक्षण संस्थे",
        "दवबिंदू क्रीडा मंडळा", "हिरवळ दूध संघा", "चांदवेळ कला अकादमी", "सावरमाळ सार्वजनिक वाचनालया",
        "जलसेतू प्रतिष्ठाना", "उंबरघाट ग्रामपंचायती",
    ),
    "NEP": (
        *(
            f"{name} {surname}"
            for name in (*lexicons.SHARED["his"], *lexicons.SHARED["her"])
            for surname in lexicons.SHARED["surname"]
        ),
        *lexicons.SHARED["surname"],
    ),
}  # fmt: skip

_PHRASES = lexicons.SHARED | _NAMES

# Some words of names stand here as ordinary ones as well: कविता is a poem, and a bank need not be named.
_SENTENCES = (
    "{NEP} यांनी {NEL}मध्ये {day} नव्या वाचनालयाचे उद्घाटन केले",
    "{NEO}च्या वतीने {NEL} येथे {day} रक्तदान शिबिर झाले",
    "{NEO}ने {NEP} यांची अध्यक्षपदी निवड केली",
    "{NEP} यांच्या कविता ऐकण्यासाठी {NEL}मध्ये मोठी गर्दी झाली",
    "{NEL}हून निघालेली बस {day} उशिरा पोहोचली",
    "{NEO}च्या {NEL} शाखेत {day} चोरी झाली",
    "{NEL} {NEL} आणि {NEL} येथे {day} जोरदार पाऊस झाला",
    "{NEP} यांनी {day} {NEL}मधील {NEO}ला भेट दिली",
    "{NEP} आणि {NEP} यांच्यात {NEL} येथे अंतिम सामना झाला",
    "{NEO}ला {NEL} परिसरात {few} एकर जागा मिळाली",
    "{NEL} येथील {NEP} यांना {NEO}चा पुरस्कार जाहीर झाला",
    "{NEP} यांच्या मते {NEO}च्या कामावर लोक समाधानी आहेत",
    "{NEO}च्या संघाने {NEL}च्या संघावर {few} गुणांनी विजय मिळवला",
    "{NEL}मधील शेतकऱ्यांनी {NEO}कडे पाण्याची मागणी केली",
    "{soon} {NEL}मध्ये {NEO}ची नवी शाखा सुरू होणार आहे",
    "{NEP} यांच्या घरी {day} {many} पाहुणे आले",
    "{soon} शाळेत कविता वाचनाचा कार्यक्रम होणार आहे",
    "{day} शहरात जोरदार पाऊस पडला आणि {few} रस्ते बंद झाले",
    "{soon} सहकारी बँकेच्या व्याजदरात {percent} वाढ होणार",
    "गावातील सार्वजनिक वाचनालय {day} बंद राहणार आहे",
    "दूध संघाच्या बैठकीत {day} {few} निर्णय झाले",
)
_SLOT = re.compile(r"\{(\w+)\}(.*)")


def sample_sentences(seed: int = corpora.SEED) -> list[tuple[list[str], list[str]]]:
    """`SENTENCES` distinct invented sentences, words and IOB2 tags; the same in every process for the same `seed`.

    A postposition is part of the name's last word, as in MahaNER, and the particles around a name are not.
    """
    rng = random.Random(seed)
    written: dict[str, tuple[list[str], list[str]]] = {}
    while len(written) < SENTENCES:
        tokens, tags = _write(_pick(_SENTENCES, rng), rng)
        written.setdefault(" ".join(tokens), (tokens, tags))
    return list(written.values())


def _pick(options: Sequence[str], rng: random.Random) -> str:
    # random() alone is promised to give the same numbers in every Python version; choice() is not.
    return options[int(rng.random() * len(options))]


def _write(sentence: str, rng: random.Random) -> tuple[list[str], list[str]]:
    """Fill the slots of one of `_SENTENCES`, no name twice."""
    tokens: list[str] = []
    tags: list[str] = []
    used: set[str] = set()
    for piece in sentence.split():
        if not (slot := _SLOT.fullmatch(piece)):
            tokens.append(piece)
            tags.append("O")
            continue
        kind, suffix = slot.groups()
        phrase = _pick([phrase for phrase in _PHRASES[kind] if phrase not in used], rng)
        used.add(phrase)
        words = f"{phrase}{suffix}".split()
        tokens += words
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(words) - 1)] if kind in _NAMES else ["O"] * len(words)
    return tokens, tags
