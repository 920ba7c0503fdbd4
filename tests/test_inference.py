"""Oracles: transformers on the same checkpoint, one text at a time; loops in place of arrays."""

import io
import itertools
import json
import math
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from headlines import HEADLINES
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertForSequenceClassification

from laghu import engines, inference, lines, quantization
from laghu.errors import LaghuError
from laghu.inference import CHUNK, Classifier

pytest.importorskip("onnxruntime")
LABELS = ["Auto", "खेळ", 'with "quotes"', "State"]
ODD = ["", " ", "a", "\u200d", "\u093f", "🙂" * 3, "पाऊस " * 3000, "Latin script", "\u2028 a \u0085 line", "\x00", "�"]
TEXTS = [*HEADLINES, *ODD]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer, tiny_bert):
    """A random classifier with its logits far apart, exported, beside its checkpoint."""
    made = tmp_path_factory.mktemp("model")
    model = tiny_bert(3, num_labels=4, id2label=dict(enumerate(LABELS)), label2id={n: i for i, n in enumerate(LABELS)})
    with torch.no_grad():
        model.classifier.weight.mul_(20)
    model.save_pretrained(made / "checkpoint")
    tokenizer.save_pretrained(made / "checkpoint")
    quantization.export(model, tokenizer, made / "onnx")
    return made


@pytest.fixture(scope="module")
def expected(folder):
    """Probabilities by transformers, one text at a time."""
    model = BertForSequenceClassification.from_pretrained(folder / "checkpoint").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "checkpoint")

    def of(text: str) -> list[float]:
        batch = tokenizer(text, truncation=True, max_length=model.config.max_position_embeddings, return_tensors="pt")
        with torch.no_grad():
            return model(**batch).logits[0].softmax(-1).tolist()

    return {text: of(text) for text in TEXTS}


def quiet(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


# ------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, CHUNK, 2 * CHUNK + 7])
def test_every_text_has_the_answer_of_transformers_in_its_place(folder, expected, count, threads):
    texts = list(itertools.islice(itertools.cycle(TEXTS), count))
    classifier = Classifier(folder / "onnx", threads=threads)
    given = quiet(lambda: list(classifier.stream(iter(texts))))
    assert len(given) == count
    for text, (label, probability) in zip(texts, given, strict=True):
        assert label == LABELS[int(np.argmax(expected[text]))]
        assert probability == pytest.approx(max(expected[text]), abs=1e-4)


def test_probabilities_are_those_of_transformers(folder, expected):
    found = Classifier(folder / "onnx").probabilities(TEXTS)
    assert found.shape == (len(TEXTS), 4)
    np.testing.assert_allclose(found, [expected[text] for text in TEXTS], atol=1e-4)
    assert Classifier(folder / "onnx").probabilities([]).shape == (0, 4)


def test_one_text_needs_no_list(folder, expected):
    label, probability = Classifier(folder / "onnx")(HEADLINES[0])
    assert (label, probability) == (LABELS[int(np.argmax(expected[HEADLINES[0]]))],
                                    pytest.approx(max(expected[HEADLINES[0]]), abs=1e-4))


def test_what_is_cut_is_counted_once(folder):
    classifier = Classifier(folder / "onnx", max_length=8)
    with pytest.warns(UserWarning, match=r"^2 texts have more than 8 tokens"):
        list(classifier.stream(["पाऊस", "पाऊस " * 50, "अ", "ब " * 50]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(classifier.stream(["पाऊस"]))


def test_a_stream_is_read_a_little_ahead_and_no_further(folder):
    drawn = 0

    def texts():
        nonlocal drawn
        for drawn in itertools.count(1):  # noqa: B007
            yield "पाऊस"

    answers = Classifier(folder / "onnx", threads=2).stream(texts())
    for _ in range(3 * CHUNK):
        next(answers)
    assert drawn <= 10 * CHUNK
    answers.close()


def test_halves_of_characters_are_joined_or_replaced(folder):
    classifier = Classifier(folder / "onnx")
    broken, whole = ["\ud800", "पाऊस \udc00", "\ud83d\ude42 पाऊस"], ["\ufffd", "पाऊस \ufffd", "🙂 पाऊस"]
    assert np.array_equal(classifier.probabilities(broken), classifier.probabilities(whole))


@pytest.mark.parametrize("text", [None, 7, b"bytes", ["a"]])
def test_what_is_no_text_is_named(folder, text):
    with pytest.raises(LaghuError, match=f"{re.escape(repr(text))} is no text; give strings"):
        Classifier(folder / "onnx").probabilities(["पाऊस", text])


def test_an_error_in_the_stream_reaches_the_reader(folder):
    def texts():
        yield from ["पाऊस"] * (3 * CHUNK)
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        list(Classifier(folder / "onnx", threads=2).stream(texts()))


# ------------------------------------------------------------------------------------------------ batches


@given(st.integers(0, 3000), st.integers(1, 4))
def test_chunks_are_of_one_size_and_leave_no_thread_without_work(count, threads):
    chunks = list(inference.in_chunks(iter(range(count)), threads))
    assert list(itertools.chain.from_iterable(chunks)) == list(range(count))
    whole, rest = divmod(count, threads * CHUNK)
    assert {len(chunk) for chunk in chunks[:whole * threads]} <= {CHUNK}
    last = [len(chunk) for chunk in chunks[whole * threads:]]
    assert len(last) == threads or all(size == inference.SMALLEST_CHUNK for size in last[:-1])
    assert sum(last) == rest and all(size == last[0] for size in last[:-1])


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), max_size=60), st.integers(1, 100))
def test_batches_hold_every_row_once_and_no_more_tokens_than_asked(lengths, tokens):
    batches = list(inference.by_length(lengths, tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= tokens
    flat = [lengths[row] for batch in batches for row in batch]
    assert flat == sorted(flat, reverse=True)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5))
def test_padding_by_hand(rows):
    ids, mask = engines.padded(rows)
    longest = max(map(len, rows))
    assert ids.tolist() == [row + [0] * (longest - len(row)) for row in rows]
    assert mask.tolist() == [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    assert ids.dtype == mask.dtype == np.int64


def test_softmax_does_not_overflow():
    found = inference.softmax(np.array([[1e4, 1e4, -1e4], [0.0, math.log(3), 0.0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [0.2, 0.6, 0.2]], rtol=1e-6)


# ------------------------------------------------------------------------------------------------ refusals


def changed(folder, tmp_path, **fields):
    """The exported model's folder with other fields in its configuration; None takes one out."""
    made = tmp_path / "changed"
    made.mkdir()
    for file in (folder / "onnx").iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    config = json.loads((made / "config.json").read_text()) | fields
    (made / "config.json").write_text(json.dumps({name: v for name, v in config.items() if v is not None}))
    return made


@pytest.mark.parametrize(("fields", "expected"), [
    ({"architectures": ["BertForTokenClassification"]}, "changed is a BertForTokenClassification; give a classifier"),
    ({"architectures": None}, "changed is a model without a head; give a classifier of whole texts"),
    ({"id2label": {"0": "a", "7": "b"}}, "id2label must name the labels 0, 1, 2"),
    ({"id2label": None}, "id2label must name the labels"),
])
def test_a_model_for_another_task_is_refused(folder, tmp_path, fields, expected):
    with pytest.raises(LaghuError, match=expected):
        Classifier(changed(folder, tmp_path, **fields))


@pytest.mark.parametrize(("file", "content", "expected"), [
    ("config.json", None, "has no config.json; give the folder of a model"),
    ("config.json", "{", "can't be read as JSON"),
    ("config.json", "[1]", "holds no configuration"),
    ("tokenizer.json", None, "has no tokenizer.json; save the model with its fast tokenizer"),
    ("tokenizer.json", "{}", "tokenizer.json can't be read"),
    ("model.onnx", None, "has no model.onnx"),
    ("model.onnx", "not a model", "can't be loaded by onnxruntime"),
])
def test_a_damaged_folder_is_one_clear_error(folder, tmp_path, file, content, expected):
    made = changed(folder, tmp_path)
    (made / file).unlink() if content is None else (made / file).write_text(content)
    with pytest.raises(LaghuError, match=expected) as caught:
        Classifier(made)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("given", "expected"), [
    ({"threads": 0}, "threads 0 must be at least 1"), ({"max_length": 2}, "max_length 2 must be from 3 to"),
    ({"max_length": 10**6}, "must be from 3 to"), ({"engine": "abacus"}, "no engine 'abacus'; there are onnxruntime"),
])
def test_values_out_of_bounds(folder, given, expected):
    with pytest.raises(LaghuError, match=expected):
        Classifier(folder / "onnx", **given)


def test_an_engine_that_is_not_installed_is_named_with_its_extra(folder, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(LaghuError, match=r"engine openvino is not installed; .*laghu\[openvino\]"):
        Classifier(folder / "onnx", engine="openvino")


# ------------------------------------------------------------------------------------------------ the command


def command(folder, given: bytes, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "laghu", "classify", str(folder), *options], input=given, capture_output=True,
        check=False,
    )


def test_as_many_lines_come_out_as_go_in(folder, expected):
    given = [text for text in TEXTS if "\n" not in text]
    raw = b"\n".join([*(text.encode() for text in given), b"\xff\xfe \xe0\xa4", b"windows\r"]) + b"\n"
    ended = command(folder / "onnx", raw)
    assert ended.returncode == 0, ended.stderr
    answers = [json.loads(line) for line in ended.stdout.decode().splitlines()]
    assert len(answers) == len(given) + 2
    for text, answer in zip(given, answers, strict=False):
        assert answer["label"] == LABELS[int(np.argmax(expected[text]))]
        assert answer["probability"] == pytest.approx(max(expected[text]), abs=2e-4)
    notes = ended.stderr.decode()
    assert "laghu: 1 lines are not UTF-8" in notes and "laghu: 1 texts have more than" in notes


def test_nothing_in_nothing_out_and_no_line_feed_at_the_end(folder):
    assert command(folder / "onnx", b"").stdout == b""
    assert len(command(folder / "onnx", "पाऊस".encode()).stdout.splitlines()) == 1


def test_another_task_is_one_line_on_stderr(folder, tmp_path):
    ended = command(changed(folder, tmp_path, architectures=["BertForTokenClassification"]), b"a\n")
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert len(ended.stderr.decode().splitlines()) == 1 and "BertForTokenClassification" in ended.stderr.decode()


def test_progress_is_for_terminals_alone(folder):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for notes, wanted in ((Terminal(), True), (io.StringIO(), False)):
        lines.classify(Classifier(folder / "onnx"), io.BytesIO(b"a\n" * 600), io.StringIO(), notes)
        assert ("texts," in notes.getvalue()) == wanted


def test_neither_torch_nor_transformers_is_loaded(folder):
    program = (f"import sys; from laghu.inference import Classifier; Classifier({str(folder / 'onnx')!r})('a');"
               "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules), 'heavy'")
    subprocess.run([sys.executable, "-c", program], check=True)
