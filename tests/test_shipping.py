import gzip
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from checkout import TINY
from headlines import HEADLINES
from shipped_model import LABELS, MAX_LENGTH, make
from test_tokenization import COMPOSED, with_token, wordpiece
from tokenizers import Regex, normalizers, pre_tokenizers

from laghu import cli, corpora, paths, provenance, sample, texts
from laghu.errors import LaghuError
from laghu.inference import Classifier
from laghu.shipping import card, files, manifest, origins, vocabulary
from laghu.shipping import make as making
from laghu.shipping.manifest import Manifest, Origin
from laghu.spec import Study

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

REPOSITORY = Path(__file__).parents[1]
STUDENT = {
    "vocab_size": 500, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 24, "batch_size": 32,
}
RUNS = [{"technique": "baseline"},
        {"technique": "student", "student": STUDENT, "ensemble": {"texts": 60, "epochs": 0.5}}]
SHIPPED = ["LICENSE.txt", "card.md", "manifest.json", "small.onnx.gz", "small.vocabulary.gz", "teacher.onnx.gz",
           "teacher.vocabulary.gz"]


def origin(licence: str) -> Origin:
    return Origin(name="a", part_of="b", repository=None, rows=1, licence=licence, citation="c")


# ------------------------------------------------------------------------------------------------ vocabulary


def test_a_vocabulary_leads_back_to_its_tokenizer(tokenizer):
    content = vocabulary.text(tokenizer.backend_tokenizer, 20)
    assert vocabulary.max_length(content) == 20
    again = vocabulary.tokenizer(content)
    for text in [*HEADLINES, "a\x00b ।", "[SEP] [MASK]x", "", "ab" * 60]:
        assert again.encode(text).ids == tokenizer(text)["input_ids"]


def test_a_vocabulary_says_which_characters_are_spaces_and_signs(tokenizer):
    settings = json.loads(vocabulary.text(tokenizer.backend_tokenizer, 20).partition("\n")[0])

    def among(ends: list[int], character: str) -> bool:
        pairs = zip(ends[::2], ends[1::2], strict=True)
        return any(first <= ord(character) <= last for first, last in pairs)

    assert all(among(settings["spaces"], character) for character in " \t\n\x00\x85\x9f\u00a0\u2028\u3000")
    assert all(among(settings["signs"], character) for character in "!~$।॥…\U00011049")
    letters = "aअ०ा्\u200d\u200c🙂€\ufffd"
    assert not any(among(settings[kind], character) for kind in ("spaces", "signs") for character in letters)


@pytest.mark.parametrize("other", [
    COMPOSED, wordpiece(normalizers.BertNormalizer()), wordpiece(normalizers.NFC(), pre_tokenizers.Whitespace()),
    wordpiece(normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\p{Cc}+"), " ")])),
    with_token("wide", normalized=False, lstrip=True),
], ids=["keeps controls", "google", "whitespace", "pieces of two lines", "takes blanks"])
def test_a_tokenizer_that_the_page_could_not_be_is_refused(other):
    with pytest.raises(LaghuError, match="this tokenizer is another"):
        vocabulary.text(other, 20)


# ------------------------------------------------------------------------------------------------ files


def test_packed_files_are_as_they_are_named_and_hold_the_model(tmp_path):
    made = make(tmp_path / "shipped")
    for file in (*made.small.files, *made.teacher.files):
        content = (tmp_path / "shipped" / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert content[4:8] == bytes(4)  # no time of packing
    assert made.small.bytes == sum(
        (tmp_path / "shipped" / name).stat().st_size for name in ("small.onnx.gz", "small.vocabulary.gz"))
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    files.unpack(tmp_path / "shipped", "small", LABELS, unpacked)
    classifier = Classifier(unpacked)
    assert classifier.labels == LABELS and classifier.max_length == MAX_LENGTH
    assert (unpacked / "model.onnx").read_bytes() == gzip.decompress(
        (tmp_path / "shipped" / "small.onnx.gz").read_bytes())
    assert classifier.probabilities(HEADLINES).sum(axis=1) == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------------------------------------------ origins


@pytest.mark.parametrize(("licences", "expected"), [
    (["CC0 1.0"], "CC0-1.0"), (["MIT (repository)", "CC0 1.0"], "MIT"), (["CC BY 2.0 FR", "MIT"], "CC BY 4.0"),
    (["CC BY 4.0", "CC0 1.0 (its README); Wikisource text, CC BY-SA 3.0"], "CC BY-SA 4.0"),
    (["CC BY-SA 4.0", "CC BY-NC 4.0"], "CC BY-NC 4.0"),
    (["CC BY-NC 4.0; its text is another's, CC BY-NC-SA 4.0", "MIT"], "CC BY-NC-SA 4.0"),
])
def test_weights_are_given_away_under_the_strictest_licence(licences, expected):
    assert origins.strictest(map(origin, licences)) == expected


def test_a_licence_that_is_none_is_refused():
    with pytest.raises(LaghuError, match="licence of a, 'not stated', is none of CC0, MIT"):
        origins.strictest([origin("CC BY 4.0"), origin("not stated")])


def test_the_study_to_be_shipped_names_every_source_and_a_licence_of_each():
    """Of the published list, less those without a licence; its own test holds these to the list's words."""
    study = Study.load("cpu-small")
    corpus = corpora.load("sample")
    first, *others = origins.of(study.find(study.ships), corpus)
    assert (first.name, first.rows, first.licence) == ("sample", 1920, sample.LICENCE)
    listed = pd.read_csv(paths.root() / "book" / "data" / "marathi_text_sources.csv").set_index("source")
    licensed = listed.drop(index=list(texts.UNLICENSED))
    assert [each.name for each in others] == list(licensed.index)
    assert [each.rows for each in others] == list(licensed["rows"])
    assert all(each.part_of == "marathi-licensed" and "@" in each.repository for each in others)
    assert origins.strictest([first, *others]) == "CC BY-NC-SA 4.0"
    assert [each.name for each in origins.share_alike(others)] == ["wikisource", "ntrex128", "sib200_flores",
                                                                   "ud_marathi"]
    assert [each.name for each in origins.of_repository(others)] == ["factcrescendo", "inltk_headlines"]
    assert [each.name for each in origins.stated_elsewhere(others)] == ["tatoeba"]


def test_text_without_a_licence_and_encoders_of_others_are_not_given_away():
    study = Study.load("cpu-small")
    spec, corpus = study.find(study.ships), corpora.load("sample")
    unlicensed = spec.model_copy(update={"ensemble": spec.ensemble.model_copy(update={"text": "marathi-text"})})
    with pytest.raises(LaghuError, match="train on marathi-licensed"):
        origins.of(unlicensed, corpus)
    with pytest.raises(LaghuError, match="starts from some/encoder, whose texts are not known"):
        origins.of(spec.model_copy(update={"model": "some/encoder"}), corpus)


# ------------------------------------------------------------------------------------------------ card


def test_the_card_tells_size_quality_sources_terms_and_limits(tmp_path):
    made = make(tmp_path)
    text = card.text(made)
    assert text == (tmp_path / "card.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert ["Layers", "1", "2"] in rows
    assert ["Clean", "240", "Its teacher", "62.5 % (50.0–75.0)", "62.5 % (50.0–75.0)"] in rows
    assert ["sample", "1,920", "CC0-1.0", r"Laghu \<script\>alert(1)\</script\>"] in rows
    assert [f"`{made.small.weights.name}`", f"{made.small.weights.bytes:,}", f"`{made.small.weights.sha256}`"] in rows
    assert "under **CC0-1.0**" in text and "must not be used" in text and "invented headlines" in text
    real = card.text(made.model_copy(update={"synthetic": False, "teacher": None}))
    assert "invented" not in real.partition("## Sources")[0] and "one news site" in real
    assert "Its teacher" not in real


def test_the_card_says_what_the_licence_does_not_settle(tmp_path):
    made = make(tmp_path)
    assert "satisfy" not in card.text(made) and "that of a repository" not in card.text(made)
    named = {"tree_bank": "CC BY-SA 4.0", "news": "CC BY-NC-SA 4.0", "facts": "MIT (repository)",
             "flores": "Apache-2.0 (repository); the sentences are FLORES-200, CC BY-SA 4.0",
             "sentences": "not stated there; Tatoeba sentences, CC BY 2.0 FR", "wiki": "CC0 1.0; CC BY-SA 3.0"}
    sources = [origin(licence).model_copy(update={"name": name}) for name, licence in named.items()]
    text = card.text(made.model_copy(update={"origins": sources, "licence": "CC BY-NC-SA 4.0"}))
    assert ("CC BY-NC-SA 4.0 does not satisfy every source: what is adapted from texts under CC BY-SA "
            "(tree bank, flores, wiki) may") in text
    assert "The licence named for facts is that of a repository" in text
    assert "The repository that sentences came from states no licence" in text
    same = card.text(made.model_copy(update={"origins": sources[:1], "licence": "CC BY-SA 4.0"}))
    assert "satisfy" not in same


def test_a_notice_beside_the_models_names_their_licence_and_where_it_is_to_be_read(tmp_path):
    made = make(tmp_path)
    assert (tmp_path / "LICENSE.txt").read_text(encoding="utf-8") == card.notice(made)
    assert "CC0-1.0:\nhttps://creativecommons.org/publicdomain/zero/1.0/" in card.notice(made)
    assert {origins.strictest([origin(licence)]) for licence in ("CC0", "MIT", "Apache-2.0", "CC BY", "CC BY-SA",
            "CC BY-NC", "CC BY-NC-SA")} == set(origins.ADDRESSES)


# ------------------------------------------------------------------------------------------------ a study's model


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    """A tiny study in a checkout of its own, in which its models are trained once."""
    home = tmp_path_factory.mktemp("home")
    for name in ("notebooks", "pyproject.toml", "requirements.lock", "book"):
        (home / name).symlink_to(REPOSITORY / name)
    (home / "studies").mkdir()
    common = TINY | {"pretraining": {**TINY["pretraining"], "text": "sample"}}
    for name, further in {"tiny": {"ships": "student-words-seed0"}, "nothing": {}}.items():
        content = {"title": name, "seeds": [0], "common": common, "runs": RUNS, **further}
        (home / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAGHU_HOME", str(home))
        provenance.pins.cache_clear()
        yield Study.load("tiny")
    provenance.pins.cache_clear()


@pytest.fixture(scope="module")
def shipped(study, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shipped") / "model"
    making.ship(study, folder)
    return folder


def test_a_study_ships_its_run_and_the_teacher_with_what_they_score(study, shipped, tmp_path):
    made = Manifest.load(shipped / manifest.NAME)
    assert sorted(file.name for file in shipped.iterdir()) == SHIPPED
    assert (made.small.run, made.teacher.run) == ("student-words-seed0", "baseline-seed0")
    assert made.small.shape.hidden_size == 16 and made.teacher.shape.num_hidden_layers == 2
    assert made.synthetic and made.licence == "CC0-1.0" and made.max_length == TINY["fine_tuning"]["max_length"]
    assert {each.name for each in made.origins} == {"sample"}
    test = sample.splits()["test"]
    for name, model in {"small": made.small, "teacher": made.teacher}.items():
        unpacked = tmp_path / name
        unpacked.mkdir()
        files.unpack(shipped, name, made.labels, unpacked)
        found = [prediction.label for prediction in Classifier(unpacked).stream([each.text for each in test])]
        right = np.mean([label == each.label for label, each in zip(found, test, strict=True)])
        assert model.accuracy.published.value == pytest.approx(right)


def test_shipped_again_it_is_the_same_files_in_place_of_the_old(study, shipped, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(shipped, folder)
    (folder / "small.onnx.gz").write_bytes(b"old")
    (folder / "left_over").write_bytes(b"old")
    making.ship(study, folder)
    assert sorted(file.name for file in folder.iterdir()) == SHIPPED
    for name in SHIPPED[3:]:
        assert (folder / name).read_bytes() == (shipped / name).read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_teacher_that_is_too_large_stays_at_home_and_a_small_model_that_is_not_small_too(
    study, shipped, tmp_path, monkeypatch
):
    made = Manifest.load(shipped / manifest.NAME)
    monkeypatch.setattr(making, "MODEL_LIMIT", made.small.bytes)
    assert made.teacher.bytes > made.small.bytes
    assert making.ship(study, tmp_path / "model").teacher is None
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == SHIPPED[:5]
    monkeypatch.setattr(making, "MODEL_LIMIT", made.small.bytes - 1)
    with pytest.raises(LaghuError, match=r"model of tiny/student-words-seed0 has .* MB; at most .* are shipped"):
        making.ship(study, tmp_path / "other")
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_nothing_of_anybody_else_is_replaced(study, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(LaghuError, match="no shipped model to replace"):
        making.ship(study, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_study_that_ships_nothing_says_so(study):
    with pytest.raises(LaghuError, match=r"study 'nothing' ships no run; name one in studies/nothing\.yaml"):
        making.ship(Study.load("nothing"), paths.root() / "model")


def test_on_the_command_line(study, shipped, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["laghu", "ship", "tiny", str(tmp_path / "model")])
    cli.main()
    small, teacher, folder = capsys.readouterr().out.splitlines()[-3:]
    assert small.startswith("student-words-seed0: 0.") and teacher.startswith("baseline-seed0: 0.")
    assert folder == str(tmp_path / "model") and (tmp_path / "model" / manifest.NAME).is_file()


def test_nothing_shipped_is_no_error(tmp_path):
    assert manifest.load(tmp_path) is None
