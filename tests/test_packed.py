"""Oracle: transformers on one text at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
from laghu.packed import Packed, PackedClassifier

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
PACKED = Packed(PackedClassifier(roberta(), LONGEST), lambda module: module)


def alone(model, rows) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([row])).logits for row in rows])


def rows_of(lengths, vocabulary=60):
    generator = torch.Generator().manual_seed(sum(lengths))
    return [torch.randint(5, vocabulary, (length,), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("kind", ["bert", *MAKERS])
@pytest.mark.parametrize("lengths", [[1], [LONGEST], [3, 1, 7], [2] * 9, list(range(1, 20)), [16, 16], [31 % 20, 1]])
def test_every_text_is_answered_as_if_it_were_alone(kind, lengths, bert):
    make = MAKERS.get(kind, bert)
    rows = rows_of(lengths)
    found = Packed(PackedClassifier(make(), LONGEST), lambda module: module)(rows)
    torch.testing.assert_close(torch.from_numpy(found), alone(make(), rows), rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, LONGEST), min_size=1, max_size=12))
def test_any_batch(lengths):
    rows = rows_of(lengths)
    torch.testing.assert_close(torch.from_numpy(PACKED(rows)), alone(PLAIN, rows), rtol=1e-4, atol=1e-5)


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


def test_it_compiles_as_one_graph(bert):
    rows = rows_of([3, 5, 2])
    run = Packed(PackedClassifier(bert(), LONGEST),
                 lambda module: torch.compile(module, dynamic=False, fullgraph=True, backend="eager"))
    torch.testing.assert_close(torch.from_numpy(run(rows)), alone(bert(), rows), rtol=1e-4, atol=1e-5)


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
    torch.testing.assert_close(torch.from_numpy(found), alone(bert(), rows), rtol=0.05, atol=0.05)
