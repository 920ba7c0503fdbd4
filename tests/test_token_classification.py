"""Oracles: losses of transformers and loops over positions, one sentence at a time through plain transformers, entities
read off with a regular expression, and counts by hand."""

import json
import math
import re
import sys
from collections import Counter
from datetime import UTC, datetime

import nbformat
import numpy as np
import pytest
import torch
import yaml
from checkout import REPOSITORY, TINY, Checkout
from datasets import Dataset, DatasetDict
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
)

from laghu import (
    cli,
    corpora,
    distillation,
    provenance,
    records,
    token_assessment,
    token_classification,
    token_corpora,
    token_freshness,
    token_runner,
)
from laghu.compression import movement, surgery
from laghu.errors import LaghuError
from laghu.records import TokenRecord
from laghu.sequence_labels import IGNORED, UNREAD, encode
from laghu.spec import RunSpec, Study, TokenRun, checked
from laghu.token_classification import CollatorWithTeacher, at_words, load_classifier, token_logits, training_rows
from laghu.training import cross_entropy

LABELS = ["B-NEP", "I-NEP", "O"]
SENTENCES = [["गीतांजली", "यांनी", "कविता"], ["पाऊस"], ["नव्या", "शाळेत", "कार्यक्रम", "होणार", "आहे"], ["बस", "उशिरा"]]
TAGS = [[0, 1, 2], [2], [2, 2, 2, 0, 1], [0, 2]]
RUN = {
    **{name: TINY[name] for name in ("architecture", "pretraining", "measuring")},
    "fine_tuning": {"epochs": 1, "max_length": 24, "learning_rate": 3e-3},
    "pruning": {"epochs": 1, "learning_rate": 3e-3},
}
PRUNED = {"pruning_level": 0.5, "distillation": "joint"}
SMALL = {"two_step": {"num_hidden_layers": 1, "intermediate_size": 16, "hidden_size": 16, "vocab_size": 300, "steps": 2,
                      "batch_size": 4, "texts": 8}}


def token_run(**parameters) -> TokenRun:
    return checked(TokenRun, RUN | parameters)


@pytest.fixture
def tagger():
    """A random token classifier with three labels; biases and layer norms are random as well."""

    def make(seed: int = 0, kind=BertForTokenClassification, **config):
        torch.manual_seed(seed)
        shape = {
            "vocab_size": 160, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 12, "max_position_embeddings": 64, "num_labels": 3,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        }
        model = kind(BertConfig(**shape | config))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.normal_(1.0 if "LayerNorm.weight" in name else 0.0, 0.5)
        return model.eval()

    return make


@pytest.fixture
def labelled(batch):
    """The batch of the other tests with labels of some of its tokens, none of padding."""
    labels = torch.randint(3, (6, 9), generator=torch.Generator().manual_seed(1))
    labels[:, 0] = labels[:, 3] = IGNORED
    labels[batch["attention_mask"] == 0] = IGNORED
    return batch | {"labels": labels}


# ------------------------------------------------------------------------------------------------ losses and rows


def test_cross_entropy_at_words_is_the_loss_of_transformers(tagger, labelled):
    model = tagger()
    printed = model(**labelled)
    assert at_words(cross_entropy)(printed.logits, labelled).item() == pytest.approx(printed.loss.item(), rel=1e-6)


def test_distillation_at_words_is_a_mean_over_labelled_positions_and_nothing_else(labelled):
    random = torch.Generator().manual_seed(2)
    ours = torch.randn(6, 9, 3, generator=random, dtype=torch.float64, requires_grad=True)
    theirs = torch.randn(6, 9, 3, generator=random, dtype=torch.float64)
    temperature, alpha, terms = 3.0, 0.7, []
    for row in range(6):
        for place in range(9):
            if (label := int(labelled["labels"][row, place])) == IGNORED:
                continue
            student, teacher, plain = (
                [math.exp(x / t) / sum(math.exp(y / t) for y in logits) for x in logits]
                for logits, t in ((ours[row, place].tolist(), temperature), (theirs[row, place].tolist(), temperature),
                                  (ours[row, place].tolist(), 1))
            )
            kl = sum(q * math.log(q / p) for p, q in zip(student, teacher, strict=True))
            terms.append(alpha * temperature**2 * kl - (1 - alpha) * math.log(plain[label]))
    objective = at_words(distillation.objective(temperature, alpha))
    loss = objective(ours, labelled | {"teacher_logits": theirs})
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-9)
    loss.backward()
    touched = (ours.grad != 0).any(-1)
    assert torch.equal(touched, labelled["labels"] != IGNORED)


def test_logits_are_those_of_each_sentence_alone_and_in_order(tagger, tokenizer):
    model = tagger().train()
    encoded = encode(tokenizer, SENTENCES, 64)
    for batch_size in (1, 3, 64):
        logits = token_logits(model, tokenizer, encoded.inputs, batch_size)
        for ids, scores in zip(encoded.inputs["input_ids"], logits, strict=True):
            with torch.no_grad():
                alone = model.eval()(torch.tensor([ids])).logits[0].numpy()
            model.train()
            np.testing.assert_allclose(scores, alone, atol=1e-5)
    assert model.training


def test_rows_of_a_training_have_a_label_a_word_and_no_sentence_without(tokenizer):
    read = ["गीतांजली", "यांनी"]
    rows = training_rows(encode(tokenizer, [read, ["\u0001"], ["\u0001", "पाऊस"]], 64), [[0, 1], [2], [0, 2]])
    assert [sorted(label for label in labels if label != IGNORED) for labels in rows["labels"]] == [[0, 1], [2]]
    for ids, mask, labels in zip(rows["input_ids"], rows["attention_mask"], rows["labels"], strict=True):
        assert len(ids) == len(mask) == len(labels) and labels[0] == labels[-1] == IGNORED
    with pytest.raises(LaghuError, match="reads no word of 1 training sentences"):
        training_rows(encode(tokenizer, [["\u0001"]], 64), [[0]])


def test_the_teachers_logits_travel_with_their_rows(tagger, tokenizer):
    teacher, encoded = tagger(), encode(tokenizer, SENTENCES, 64)
    rows = token_classification.with_teacher_logits(training_rows(encoded, TAGS), teacher, tokenizer, batch_size=3)
    batch = CollatorWithTeacher(tokenizer)([rows[row] for row in (2, 0, 1)])
    assert batch["teacher_logits"].shape == (*batch["input_ids"].shape, 3)
    with torch.no_grad():
        expected = teacher(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    real = batch["attention_mask"] == 1
    torch.testing.assert_close(batch["teacher_logits"][real], expected[real], atol=1e-5, rtol=0)
    assert (batch["labels"][~real] == IGNORED).all() and (batch["teacher_logits"][~real] == 0).all()


def test_masked_logits_are_cut_logits_and_the_checkpoint_is_a_plain_one(tagger, labelled, tmp_path):
    model = tagger(id2label=dict(enumerate(LABELS)))
    scores = movement.attach(model, movement.TOPK)
    with torch.no_grad():
        for layer in scores.neurons:
            layer.values.normal_()
    scores.set_threshold(0.25)
    inputs = {name: labelled[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        masked = model(**inputs).logits
    surgery.excise(model, scores)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    assert (loaded.config.intermediate_size, list(loaded.config.id2label.values())) == (3, LABELS)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, masked, atol=1e-5, rtol=0)


# ------------------------------------------------------------------------------------------------ where a model is from


@pytest.mark.parametrize("labels", [LABELS, LABELS[::-1], ["X", "Y", "Z"], [*LABELS, "B-NEL"]])
def test_a_head_stays_only_where_it_knows_these_labels(tagger, tokenizer, tmp_path, labels):
    saved = tagger(id2label=dict(enumerate(LABELS)))
    saved.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, _ = load_classifier(str(tmp_path), labels)
    assert list(model.config.id2label.values()) == labels and model.classifier.out_features == len(labels)
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, saved.bert.embeddings.word_embeddings.weight)
    kept = model.classifier.weight.shape == saved.classifier.weight.shape and torch.equal(
        model.classifier.weight, saved.classifier.weight)
    assert kept == (labels == LABELS)


def test_models_that_label_no_tokens_are_refused_by_name(tagger, tokenizer, tmp_path):
    tagger(kind=BertForSequenceClassification).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for name, expected in ((str(tmp_path), "BertForSequenceClassification.*whole texts"), ("no/such", "config.json")):
        with pytest.raises(LaghuError, match=expected) as caught:
            load_classifier(name, LABELS)
        assert f"{name!r}" in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------ what to run


def refusal(build, *arguments) -> str:
    with pytest.raises(LaghuError) as caught:
        build(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("corpus", token_corpora.NAMES)
def test_a_corpus_of_labelled_words_is_refused_by_every_other_template(corpus):
    assert refusal(RunSpec.from_parameters, {"corpus": corpus}, "baseline") == (
        f"corpus = {corpus!r}: {corpus} has a label for every word; use the template token_classification")
    assert TokenRun(corpus=corpus).corpus == corpus


def test_a_corpus_of_labelled_texts_is_refused_by_this_template():
    for corpus in ("sample", "mahanews-open"):
        message = refusal(TokenRun.from_parameters, {"corpus": corpus})
        assert message.startswith(f"corpus = {corpus!r}: {corpus} has one label for a whole text; use another template")
    assert "'mahaner', 'ud-marathi' or 'token-sample'" in refusal(TokenRun.from_parameters, {"corpus": "nosuch"})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (SMALL | PRUNED, "two_step takes pruning_level 0 and no model"),
        (SMALL | {"model": "some/model"}, "two_step takes pruning_level 0 and no model"),
        ({"two_step": {"hidden_size": 1024}}, "two_step.hidden_size 1024 must not exceed the architecture's"),
        ({"two_step": {"hidden_size": 63}}, "two_step.hidden_size 63 must be a multiple of num_attention_heads"),
        ({"two_step": {"taught_by": "ensemble"}}, "two_step.taught_by 'ensemble' needs a classical classifier"),
        ({"distillation": "joint"}, "distillation 'joint' takes pruning_level above 0"),
        ({"pruning_level": 0.5, "distillation": "after"}, "distillation = 'after': "),
        ({"pruning_level": 1}, "pruning_level = 1: "),
        ({"pruning_level": 0.5, "pruning": {"method": "sigmoid"}}, "pruning.method = 'sigmoid': "),
        ({"technique": "baseline"}, "unknown parameter 'technique'; TokenRun takes study, corpus, "),
        ({"fine_tuning": {"epoch": 1}}, "unknown parameter 'fine_tuning.epoch'; TokenFineTuning takes "),
        ({"fine_tuning": {"max_length": 129}}, "fine_tuning.max_length 129 must not exceed the architecture's"),
        ({"measuring": {"sequence_length": 200}}, "measuring.sequence_length 200 must not exceed"),
    ],
)
def test_wrong_parameters_are_one_line(parameters, expected):
    assert expected in refusal(TokenRun.from_parameters, parameters)


def test_names_say_corpus_row_and_seed():
    names = [TokenRun(corpus=corpus, seed=seed, **how).run for corpus in token_corpora.NAMES for seed in (0, 12)
             for how in ({}, {"pruning_level": 0.5}, {"pruning_level": 0.125}, PRUNED)]
    assert len(set(names)) == len(names)
    assert names[:4] == ["mahaner-baseline-seed0", "mahaner-pruning-50-seed0", "mahaner-pruning-12p5-seed0",
                         "mahaner-pruning-50-joint-seed0"]


STUDY = {
    "title": "tiny", "seeds": [0, 1],
    "common": {name: TINY[name] for name in ("architecture", "pretraining", "measuring")} | {
        "fine_tuning": {"epochs": 7, "max_length": 24}},
    "runs": [{"technique": "baseline"}],
}


def study_of(home, **content) -> Study:
    (home / "studies" / "tiny.yaml").write_text(yaml.safe_dump(STUDY | content), encoding="utf-8")
    return Study.load("tiny")


def test_a_study_gives_its_encoder_and_seeds_to_its_token_runs(home):
    assert study_of(home).tokens == ()
    loaded = study_of(home, tokens=[{"fine_tuning": {"max_length": 30}, "architecture": {"vocab_size": 700}}])
    assert [(run.study, run.run) for run in loaded.tokens] == [
        ("tiny", "token-sample-baseline-seed0"), ("tiny", "token-sample-baseline-seed1")]
    run = loaded.tokens[0]
    assert run.architecture.model_dump() == TINY["architecture"] | {"vocab_size": 700}
    assert (run.pretraining, run.measuring) == (loaded.runs[0].pretraining, loaded.runs[0].measuring)
    # How long texts are trained on says nothing of sentences.
    assert (run.fine_tuning.epochs, run.fine_tuning.max_length) == (TokenRun().fine_tuning.epochs, 30)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([{"fine_tuning": {"max_length": 24}}] * 2, "lists token-sample-baseline-seed0, token-sample-"),
        ({"corpus": "mahaner"}, "tiny.yaml: tokens must be a list of mappings"), (["mahaner"], "a list of mappings"),
        ([{"corpus": "sample"}], "corpus = 'sample': sample has one label for a whole text"),
        ([{}], "fine_tuning.max_length 128 must not exceed the architecture's max_position_embeddings 64"),
    ],
)
def test_mistakes_in_a_studys_list_are_one_line(home, tokens, expected):
    assert expected in refusal(lambda: study_of(home, tokens=tokens))


# ------------------------------------------------------------------------------------------------ scores


def a_corpus(task: str, labels: list[str], tags: list[list[int]], **flags: list[bool]) -> token_corpora.TokenCorpus:
    columns = {name: flags.get(name, [False] * len(tags)) for name in corpora.FLAGS}
    words = [["शब्द"] * len(sentence) for sentence in tags]
    split = Dataset.from_dict({"tokens": words, "tags": tags, **columns}, features=token_corpora.features(labels))
    return token_corpora.TokenCorpus(
        name="token-sample", task=task, splits=DatasetDict(train=split, validation=split, test=split), labels=labels,
        cleaning={}, sha256="0", licence="", citation="", synthetic=True, note="",
    )


def quality(corpus, predicted):
    encoded = type("Read", (), {"first": [np.array(row) for row in predicted]})  # unread where the prediction is
    given = token_assessment._quality(corpus, [np.array(row) for row in predicted], encoded, resamples=20)
    shown = {name: {view: estimate.value for view, estimate in by_view.items()}
             for name, by_view in given["scores"].items()}
    return given, shown


def test_words_are_scored_one_by_one_on_each_view():
    truth = [[0, 1, 1], [2, 0], [1, 1], [0]]
    given, scores = quality(
        a_corpus("pos", ["A", "B", "C"], truth, duplicate=[False, False, True, False],
                 in_other_split=[False, False, False, True]),
        [[0, 1, 0], [UNREAD, 0], [1, 1], [1]],
    )
    assert scores["accuracy"] == pytest.approx({"published": 5 / 8, "deduplicated": 3 / 6, "clean": 3 / 5})
    # Clean: A 2 of 2 true, 3 predicted; B 1 of 2 true, 1 predicted; C 0 of 1.
    assert scores["macro_f1"]["clean"] == pytest.approx((4 / 5 + 2 / 3 + 0) / 3)
    assert given["kinds"]["A"] == {"right": 2, "true": 2, "predicted": 3}
    assert (given["sentences"], given["words"]) == (
        {"published": 4, "deduplicated": 3, "clean": 2}, {"published": 8, "deduplicated": 6, "clean": 5})
    assert given["unread_words"] == {"published": 1, "deduplicated": 1, "clean": 1}
    assert (given["right"], given["true"], given["predicted"]) == ([2, 1, 2, 0], [3, 2, 2, 1], [3, 1, 2, 1])
    assert given["sentence_views"] == "2201"


def test_entities_are_scored_whole_and_in_both_readings():
    labels = ["B-NEL", "B-NEP", "I-NEL", "I-NEP", "O"]
    given, scores = quality(a_corpus("ner", labels, [[1, 3, 4], [0, 4, 1]]), [[1, 3, 4], [2, 4, 0]])
    # The stray I-NEL begins an entity, unless read strictly.
    assert scores["f1"]["clean"] == pytest.approx(2 * 2 / (3 + 3))
    assert scores["strict_f1"]["clean"] == pytest.approx(2 * 1 / (3 + 2))
    assert (scores["precision"]["clean"], scores["recall"]["clean"]) == pytest.approx((2 / 3, 2 / 3))
    assert (scores["strict_precision"]["clean"], scores["strict_recall"]["clean"]) == pytest.approx((1 / 2, 1 / 3))
    assert given["kinds"] == {"NEL": {"right": 1, "true": 1, "predicted": 2},
                              "NEP": {"right": 1, "true": 2, "predicted": 1}}


def test_agreement_is_over_the_words_read_in_clean_sentences():
    corpus = a_corpus("pos", ["A", "B"], [[0, 0, 0], [0], [1]], in_other_split=[False, True, False])
    ours, theirs = [[0, 1, UNREAD], [0], [1]], [[0, 0, UNREAD], [1], [1]]
    assert token_assessment._agreement(corpus, ours, theirs) == pytest.approx(2 / 3)


# ------------------------------------------------------------------------------------------------ a run, end to end


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of three token runs, run once from nothing."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    rows = [{name: RUN[name] for name in ("fine_tuning", "pruning")} | how for how in ({}, PRUNED, SMALL)]
    (checkout.folder / "studies" / "tiny.yaml").write_text(
        yaml.safe_dump(STUDY | {"seeds": [0], "runs": [], "tokens": rows}), encoding="utf-8")
    ended = checkout.laghu("tokens", "tiny")
    assert ended.returncode == 0, ended.stderr
    return checkout, ended.stdout


@pytest.fixture
def here(finished, monkeypatch):
    """That study's checkout as this process's own."""
    checkout, _ = finished
    monkeypatch.setenv("LAGHU_HOME", str(checkout.folder))
    monkeypatch.delenv("LAGHU_DATA_DIR", raising=False)
    provenance.pins.cache_clear()
    yield checkout
    provenance.pins.cache_clear()


def entities(tags: list[str]) -> Counter:
    """Entities as conlleval reads them, off a string with a character per word."""
    kinds = sorted({tag[2:] for tag in tags if tag != "O"})
    found = Counter()
    for kind in kinds:
        line = "".join("o" if tag[2:] != kind else tag[0].lower() for tag in tags)
        found.update((kind, *match.span()) for match in re.finditer("bi*|i+", line))
    return found


def test_records_are_what_plain_transformers_and_a_second_scorer_give(here):
    loaded = {record.run: record for record in records.load_tokens("tiny")}
    assert set(loaded) == {
        "token-sample-baseline-seed0", "token-sample-pruning-50-joint-seed0", "token-sample-two-step-small-seed0"}
    split = token_corpora.load("token-sample").splits["test"]
    names = split.features["tags"].feature.names
    for record in loaded.values():
        stage = record.stages[-1]
        folder = here.folder / "checkpoints" / f"{stage.name}-{stage.key[:16]}" / "model"
        model = AutoModelForTokenClassification.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert list(model.config.id2label.values()) == names
        counts, unread = [], 0
        for words, tags in zip(split["tokens"], split["tags"], strict=True):
            encoding = tokenizer(words, is_split_into_words=True, truncation=True, max_length=24, return_tensors="pt")
            with torch.no_grad():
                best = model.eval()(**encoding).logits[0].argmax(-1).tolist()
            word_ids = encoding.word_ids()
            predicted = [names[best[word_ids.index(word)]] if word in word_ids else "O" for word in range(len(words))]
            unread += sum(word not in word_ids for word in range(len(words)))
            true, found = entities([names[tag] for tag in tags]), entities(predicted)
            counts.append([sum((true & found).values()), sum(true.values()), sum(found.values())])
        assert record.counts.tolist() == counts
        right, true, found = np.sum(counts, axis=0)
        score = record.scores["f1"].published
        assert score.value == pytest.approx(2 * right / (true + found)) and score.low <= score.value <= score.high
        assert record.unread_words.published == unread > 0
        assert sum(kind.right for kind in record.kinds.values()) == np.array(counts)[record.clean].sum(0)[0]


def test_a_record_says_what_was_measured(here):
    base, pruned, small = records.load_tokens("tiny")
    assert (base.pruning_level, base.agreement, base.surgery_error) == (0.0, None, None)
    assert (pruned.pruning_level, pruned.distillation, pruned.intermediate_size) == (0.5, "joint", 32)
    assert 0 <= pruned.surgery_error < 1e-5 and 0 <= pruned.agreement <= 1
    # Of each of two layers 32 neurons with 32 weights in, a bias, and 32 weights out.
    assert base.parameters.total - pruned.parameters.total == 2 * 32 * (32 + 1 + 32)
    assert (small.pruning_level, small.surgery_error) == (0.75, None) and 0 <= small.agreement <= 1
    hidden, ffn, labels = 16, 16, len(token_corpora.load("token-sample").labels)
    embeddings = (300 + 64 + 2) * hidden + 2 * hidden
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden * ffn + ffn + hidden + 4 * hidden
    assert small.parameters.total == embeddings + layer + (hidden + 1) * labels
    stages = {base.run: ["token-baseline"], pruned.run: ["token-pruned"],
              small.run: ["shallow", "narrow", "counted", "small", "token-two-step"]}
    for record in (base, pruned, small):
        assert record.synthetic and record.task == "ner" and record.sentences.published == 30
        assert record.timing.engine == "PyTorch eager, token ids to logits" and record.speed_up.median > 0
        assert record.energy_kwh > 0 and record.inference_energy.kwh_per_1000_documents > 0
        assert [stage.name for stage in record.stages] == stages[record.run]
        page = nbformat.read(record.file.with_suffix(".ipynb"), as_version=4)
        outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
        assert outputs and not [output for output in outputs if output.output_type == "error"]
        assert str(here.folder) not in json.dumps(page)
    assert page.cells[0].source.startswith("# Two-step distillation (small) on token-sample (seed 0)")


def test_a_second_call_does_nothing_and_a_change_reruns_what_it_touches(here, finished, monkeypatch, capsys):
    assert "token-sample-baseline-seed0: finished in" in finished[1] and "clean f1" in finished[1]
    executed = []
    monkeypatch.setattr(token_runner, "execute_with_progress", lambda run: executed.append(run.run))
    study = Study.load("tiny")
    token_runner.run(study)
    assert executed == []
    changed = checked(TokenRun, study.tokens[1].model_dump(exclude_unset=True) | {"distilling": {"alpha": 0.5}})
    token_runner.run(study.model_copy(update={"tokens": (study.tokens[0], changed)}))
    assert executed == ["token-sample-pruning-50-joint-seed0"]
    with pytest.raises(LaghuError, match="'tiny' has no token classifiers"):
        token_runner.run(study.model_copy(update={"tokens": ()}))


def test_why_a_record_is_stale(here, monkeypatch):
    study = Study.load("tiny")
    run = study.tokens[1]
    record, data = TokenRecord.load(records.token_file("tiny", run.run)), token_freshness.data_sha256(run)
    assert token_freshness.why_stale(record, run, data) is None
    assert token_freshness.why_stale(record, run, "0") == "the data changed"
    other = run.model_copy(update={"fine_tuning": run.fine_tuning.model_copy(update={"epochs": 9})})
    assert token_freshness.why_stale(record, other, data) == "parameters changed: fine_tuning.epochs"
    renamed = run.model_copy(update={"study": "other"})
    assert token_freshness.run_key(renamed, data) == record.run_key
    hub = run.model_copy(update={"model": "some/model"})
    assert token_freshness.data_sha256(hub) != data  # no text was pretrained on
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "pins", lambda: {"torch": "0"})
        assert token_freshness.why_stale(record, run, data) == "its template, code or pinned versions changed"
        assert not token_freshness.is_current(run)
    assert token_freshness.is_current(run)


def test_check_counts_token_runs_like_any_others(here, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["laghu", "check", "tiny"])
    cli.main()
    assert "every record" in capsys.readouterr().out
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "pins", lambda: {"torch": "0"})
        with pytest.raises(SystemExit, match="token-sample-baseline-seed0: its template, code or pinned versions"):
            cli.main()
    page = records.token_file("tiny", "token-sample-baseline-seed0").with_suffix(".ipynb")
    page.rename(page.with_suffix(".away"))
    try:
        assert not token_freshness.is_current(Study.load("tiny").tokens[0])
    finally:
        page.with_suffix(".away").rename(page)


def test_stages_are_made_once_and_the_record_comes_out_the_same(here):
    run = Study.load("tiny").tokens[1]
    earlier = TokenRecord.load(records.token_file("tiny", run.run))
    folders = set((here.folder / "checkpoints").iterdir())
    corpus = token_classification.begin(run)
    teacher = token_classification.baseline(run, corpus)
    trained = token_classification.compress(run, corpus, teacher)
    assert token_classification.compress(run.model_copy(update={"pruning_level": 0.0}), corpus, teacher) == [teacher]
    record = token_assessment.measure(run, corpus, trained, teacher, datetime.now(UTC))
    assert set((here.folder / "checkpoints").iterdir()) == folders
    same = ("scores", "kinds", "right", "predicted", "agreement", "parameters", "run_key", "stages", "unread_words")
    assert all(getattr(record, field) == getattr(earlier, field) for field in same)
    words = corpus.splits["test"][0]["tokens"]
    shown = token_assessment.tag(run, corpus, trained[-1], [*words, *["शब्द"] * 30])
    assert len(shown) == len(words) + 30 and shown[-1] == "–" and set(shown) <= {*corpus.labels, "–"}


def test_the_template_refuses_by_name_before_anything_trains(finished):
    checkout, _ = finished
    before = {folder.name for folder in (checkout.folder / "checkpoints").iterdir()}
    ended = checkout.papermill("token_classification", {"corpus": "sample"})
    assert ended.returncode != 0
    shown = [line for line in ended.stderr.split("Exception encountered at")[-1].splitlines()[1:] if line.strip()]
    assert len(shown) == 1 and shown[0].startswith("LaghuError: corpus = 'sample': "), ended.stderr
    assert {folder.name for folder in (checkout.folder / "checkpoints").iterdir()} == before
    assert not (checkout.folder / "results" / "manual").exists()


def test_the_template_is_stored_without_outputs_and_with_one_parameters_cell():
    file = REPOSITORY / "notebooks" / "token_classification.ipynb"
    cells = [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1
