"""Oracle: transformers on one text at a time. Both in fp64, which leaves no doubt what is rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import (
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from laghu import packed
from laghu.errors import LaghuError
from laghu.packed import Packed, PackedClassifier, Room

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 12,
         "vocab_size": 60, "max_position_embeddings": 24, "num_labels": 3, "hidden_dropout_prob": 0.0,
         "attention_probs_dropout_prob": 0.0, "initializer_range": 0.6}
LONGEST = 20


def roberta():
    torch.manual_seed(1)
    return RobertaForSequenceClassification(RobertaConfig(**SHAPE, pad_token_id=1)).eval()


def electra():
    torch.manual_seed(2)
    return ElectraForSequenceClassification(ElectraConfig(**SHAPE, embedding_size=8)).eval()


@pytest.fixture(scope="module")
def bert(tiny_bert):
    return lambda: tiny_bert(5)


@pytest.fixture(autouse=True)
def short_rows(monkeypatch):
    """Attention without a GPU is quadratic in a row; [16, 16] fills one of these to its last token."""
    monkeypatch.setattr(packed, "TOKENS", 32)


MAKERS = {"roberta": roberta, "electra": electra}


PLAIN = roberta()
PACKED = Packed(PackedClassifier(roberta().double(), LONGEST), lambda module: module)


def alone(model, rows) -> torch.Tensor:
    model = model.double()
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([row])).logits for row in rows]).float()


def rows_of(lengths, vocabulary=60):
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(5, vocabulary, (length,), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("kind", ["bert", *MAKERS])
@pytest.mark.parametrize("lengths", [[1], [LONGEST], [3, 1, 7], [2] * 9, list(range(1, 20)), [16, 16], [31 % 20, 1]])
def test_every_text_is_answered_as_if_it_were_alone(kind, lengths, bert):
    make = MAKERS.get(kind, bert)
    rows = rows_of(lengths)
    found = Packed(PackedClassifier(make().double(), LONGEST), lambda module: module)(rows)
    torch.testing.assert_close(torch.from_numpy(found), alone(make(), rows))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, LONGEST), min_size=1, max_size=12))
def test_any_batch(lengths):
    rows = rows_of(lengths)
    torch.testing.assert_close(torch.from_numpy(PACKED(rows)), alone(PLAIN, rows))


def test_batches_share_few_shapes(bert):
    shapes = set()

    def noting(module):
        def run(*given):
            shapes.add(tuple(tuple(part.shape) for part in given))
            return module(*given)
        return run

    run = Packed(PackedClassifier(bert(), LONGEST), noting)
    for texts in range(1, 17):
        assert run(rows_of([2] * texts)).shape == (texts, 3)
    assert shapes == {((32,), (32,), (2**power + 1,)) for power in range(5)}


def test_the_only_shapes_are_those_given_and_they_are_run_beforehand(bert):
    shapes = []

    def noting(module):
        return lambda *given: shapes.append(tuple(len(part) for part in given)) or module(*given)

    run = Packed(PackedClassifier(bert().double(), LONGEST), noting, [Room(64, 8), Room(24, 3)])
    assert shapes == [(24, 24, 4)] * 3 + [(64, 64, 9)] * 3
    for lengths, room in (([8, 8, 8], 24), ([1, 20], 24), ([2] * 4, 64), ([20, 5], 64), ([16] * 4, 64)):
        rows = rows_of(lengths)
        torch.testing.assert_close(torch.from_numpy(run(rows)), alone(bert(), rows))
        assert shapes[-1][0] == room
    for lengths in ([20] * 4, [1] * 9):
        with pytest.raises(LaghuError, match="find no room"):
            run(rows_of(lengths))


def test_no_texts_and_texts_that_would_be_answered_wrongly(bert):
    run = Packed(PackedClassifier(bert(), LONGEST), lambda module: module)
    assert run([]).shape == (0, 3) and run([]).dtype == np.float32
    with pytest.raises(LaghuError, match="texts of 3 to 21 tokens; give some of 1 to 20"):
        run(rows_of([3, 21]))
    with pytest.raises(LaghuError, match="texts of 0 to 3 tokens"):
        run([*rows_of([3]), []])


def in_a_loop(query, key, value, starts, same_starts, longest, same_longest, *, scale):
    """What PyTorch documents of its `varlen_attn`, within the bounds of its kernel; what no text owns is no number."""
    assert starts is same_starts and starts.dtype == torch.int32 and longest == same_longest
    size = query.shape[-1]
    assert size % 8 == 0 and size <= 256 and all(part.stride(-1) == 1 for part in (query, key, value))
    found = torch.full_like(query, float("nan"))
    for start, end in zip(starts.tolist(), starts.tolist()[1:], strict=False):
        assert end - start <= longest
        parts = (part[start:end].transpose(0, 1) for part in (query, key, value))
        found[start:end] = functional.scaled_dot_product_attention(*parts, scale=scale).transpose(0, 1)
    return found


@pytest.mark.parametrize("size", [4, 8, 12])
def test_the_gpus_kernel_is_asked_for_the_same(size, tiny_bert, monkeypatch):
    monkeypatch.setattr(packed, "varlen_attn", in_a_loop)
    monkeypatch.setattr(packed, "_elsewhere", packed._on_gpu)
    rows = rows_of([3, 20, 1, 7, 1])
    model = tiny_bert(5, hidden_size=4 * size).double()
    expected = alone(model, rows)
    found = Packed(PackedClassifier(model, LONGEST), lambda module: module)(rows)
    torch.testing.assert_close(torch.from_numpy(found), expected)


def test_the_gpus_path_compiles_as_one_graph(bert, monkeypatch):
    """On tensors without values: PyTorch checks what its kernel is given, and does not run it."""
    monkeypatch.setattr(packed, "_elsewhere", packed._on_gpu)
    classifier = PackedClassifier(bert().to("meta", torch.bfloat16), LONGEST)
    ids, starts = torch.zeros(32, dtype=torch.int64, device="meta"), torch.zeros(5, dtype=torch.int32, device="meta")
    with torch.inference_mode():
        logits = torch.compile(classifier, dynamic=False, fullgraph=True, backend="aot_eager")(ids, ids, starts)
    assert logits.shape == (4, 3) and logits.dtype == torch.bfloat16


def test_it_compiles_as_one_graph(bert):
    rows = rows_of([3, 5, 2])
    run = Packed(PackedClassifier(bert().double(), LONGEST),
                 lambda module: torch.compile(module, dynamic=False, fullgraph=True, backend="eager"))
    torch.testing.assert_close(torch.from_numpy(run(rows)), alone(bert(), rows))


def test_another_kind_of_model_is_refused():
    model = DistilBertForSequenceClassification(DistilBertConfig(dim=16, n_heads=4, hidden_dim=12, n_layers=1))
    assert not isinstance(model, BertForSequenceClassification)
    with pytest.raises(LaghuError, match="a distilbert can't be packed; give one of bert, electra"):
        PackedClassifier(model, LONGEST)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_on_a_gpu_compiled_in_half_precision(precision, bert):
    rows = rows_of([3, 20, 1, 7] * 30)
    run = Packed(PackedClassifier(bert().to("cuda", precision), LONGEST), packed.compiled)
    for _ in range(3):  # the first calls compile and record
        found = run(rows)
    torch.testing.assert_close(torch.from_numpy(found), alone(bert(), rows), rtol=0.05, atol=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_in_fp32(bert):
    with pytest.raises(LaghuError, match=r"can't be packed in torch\.float32 on a GPU"):
        Packed(PackedClassifier(bert().to("cuda"), LONGEST), packed.compiled)
