import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from laghu import evaluation
from laghu.errors import LaghuError
from laghu.evaluation import accuracy_of, bootstrap, evaluate, macro_f1_of

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "एक", "दोन", "तीन", "चार"]
TEXTS = ["एक", "एक दोन तीन चार एक", "दोन तीन", "चार चार", "तीन", "एक दोन तीन चार एक दोन तीन चार", "दोन"]


@pytest.fixture(scope="module")
def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16, num_labels=5, initializer_range=0.5,
    )
    return BertForSequenceClassification(config)


@pytest.fixture
def batches(model):
    """Attention masks of every batch that the model sees."""
    seen = []
    model.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs["attention_mask"]), with_kwargs=True)
    return seen


def rows_of(num_labels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of unequal frequency with predictions that are right about two times in three."""
    random = np.random.default_rng(seed)
    labels = random.choice(num_labels, size, p=random.dirichlet(np.ones(num_labels)))
    return labels, np.where(random.random(size) < 0.6, labels, random.integers(num_labels, size=size))


@pytest.mark.parametrize("max_length", [16, 4])
def test_logits_are_those_of_each_text_alone(model, tokenizer, batches, max_length):
    scores = evaluation.logits(model, tokenizer, TEXTS, batch_size=3, max_length=max_length)
    assert model.training
    assert [mask.shape[0] for mask in batches] == [3, 3, 1]
    model.eval()
    with torch.no_grad():
        alone = [
            model(**tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")).logits
            for text in TEXTS
        ]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, torch.cat(alone).numpy(), atol=1e-5)
    chosen = evaluation.predict(model, tokenizer, TEXTS, batch_size=2, max_length=max_length)
    assert chosen.dtype == np.int64
    assert chosen.tolist() == [int(row.argmax()) for row in alone]
    assert not model.training


def test_length_batches_hold_no_needless_padding(model, tokenizer, batches):
    texts = ["एक", "एक दोन तीन चार"] * 4
    evaluation.logits(model, tokenizer, texts, batch_size=4, max_length=16)
    assert [mask.shape for mask in batches] == [(4, 6), (4, 3)]
    assert all(mask.all() for mask in batches)


def test_bf16_weights_give_float32_scores(model, tokenizer):
    exact = evaluation.logits(model, tokenizer, TEXTS, batch_size=4, max_length=16)
    rounded = evaluation.logits(model.to(torch.bfloat16), tokenizer, TEXTS, batch_size=4, max_length=16)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()


def test_no_texts_are_refused(model, tokenizer):
    with pytest.raises(LaghuError, match="0 texts"):
        evaluation.predict(model, tokenizer, [], batch_size=4, max_length=16)


def test_training_mode_comes_back_after_a_failure(model):
    with pytest.raises(ZeroDivisionError), evaluation.inference(model):
        assert not model.training
        assert torch.is_inference_mode_enabled()
        _ = 1 / 0
    assert model.training


@pytest.mark.parametrize("seed", range(6))
def test_scores_agree_with_scikit_learn(seed):
    labels, predictions = rows_of(12, 40, seed)
    present = np.unique(labels)
    assert evaluation.accuracy(labels, predictions) == accuracy_score(labels, predictions)
    counts = evaluation.confusion(labels, predictions, 12)
    np.testing.assert_array_equal(counts, confusion_matrix(labels, predictions, labels=range(12)))
    oracle = f1_score(labels, predictions, labels=present, average="macro", zero_division=0)
    assert evaluation.macro_f1(labels, predictions, 12) == pytest.approx(oracle, abs=1e-12)
    assert float(accuracy_of(counts)) == pytest.approx(accuracy_score(labels, predictions), abs=1e-12)


def test_macro_f1_leaves_out_labels_that_are_only_predicted():
    # Label 0: tp 1, support 2, predicted 1: F1 2/3. Label 1: tp 1, support 1, predicted 1: F1 1. Label 2: no rows.
    assert evaluation.macro_f1([0, 0, 1], [0, 2, 1], 4) == pytest.approx((2 / 3 + 1) / 2)


def test_bootstrap_of_accuracy_has_binomial_quantiles():
    labels = np.zeros(400, dtype=int)
    predictions = (np.arange(400) >= 340).astype(int)
    estimate = bootstrap(accuracy_of, labels, predictions, resamples=40_000)
    assert estimate.value == 340 / 400
    expected = binom.ppf([0.025, 0.975], 400, 0.85) / 400
    np.testing.assert_allclose([estimate.low, estimate.high], expected, atol=1.01 / 400)


def test_bootstrap_of_macro_f1_agrees_with_drawing_rows():
    labels, predictions = rows_of(5, 150, seed=1)
    estimate = bootstrap(macro_f1_of, labels, predictions, resamples=4000, level=0.8)
    random = np.random.default_rng(7)
    drawn = []
    for _ in range(4000):
        rows = random.integers(150, size=150)
        drawn.append(evaluation.macro_f1(labels[rows], predictions[rows], 5))
    spread = np.std(drawn)
    np.testing.assert_allclose([estimate.low, estimate.high], np.quantile(drawn, [0.1, 0.9]), atol=0.1 * spread)
    assert estimate.value == evaluation.macro_f1(labels, predictions, 5)


def test_bootstrap_is_reproducible_and_knows_its_seed():
    labels, predictions = rows_of(3, 60, seed=2)
    first, again, other = (bootstrap(macro_f1_of, labels, predictions, resamples=50, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_bootstrap_of_a_perfect_classifier_has_no_width():
    labels = np.arange(12).repeat(3)
    assert bootstrap(macro_f1_of, labels, labels) == evaluation.Estimate(1.0, 1.0, 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_mcnemar_agrees_with_statsmodels(seed):
    labels, a = rows_of(3, 80, seed)
    b = np.where(np.arange(80) % 4, a, labels)
    table = np.histogram2d(a == labels, b == labels, bins=2)[0]
    result = evaluation.mcnemar(labels, a, b)
    assert (result.only_a_right, result.only_b_right) == (table[1, 0], table[0, 1])
    assert result.p_value == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)


def test_mcnemar_by_hand_and_without_differences():
    # Only b is right, five times of five: p = 2 / 2^5.
    assert evaluation.mcnemar([1] * 5, [0] * 5, [1] * 5) == evaluation.McNemar(0, 5, 2 / 2**5)
    assert evaluation.mcnemar([1, 0], [1, 1], [1, 1]) == evaluation.McNemar(0, 0, 1.0)


def test_evaluate_scores_each_view_on_its_own_rows():
    labels, predictions = rows_of(4, 90, seed=5)
    views = {"all": np.ones(90, dtype=bool), "even": np.arange(90) % 2 == 0}
    scores = evaluate(labels, predictions, views, num_labels=4, resamples=100, seed=3)
    assert scores == {
        "accuracy": {
            "all": bootstrap(accuracy_of, labels, predictions, resamples=100, seed=3),
            "even": bootstrap(accuracy_of, labels[::2], predictions[::2], resamples=100, seed=3),
        },
        "macro_f1": {
            "all": bootstrap(macro_f1_of, labels, predictions, resamples=100, seed=3),
            "even": bootstrap(macro_f1_of, labels[::2], predictions[::2], resamples=100, seed=3),
        },
    }
    assert scores["accuracy"]["even"].value == accuracy_score(labels[::2], predictions[::2])
    assert evaluation.rows(views) == {"all": 90, "even": 45}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.accuracy([0, 1], [0]), "1 predictions for 2 labels"),
        (lambda: evaluation.accuracy([], []), "0 predictions for 0 labels"),
        (lambda: evaluation.macro_f1([0, 12], [0, 1], 12), "row 1: label 12"),
        (lambda: evaluation.macro_f1([0, 1], [-1, 1], 12), "row 0: prediction -1"),
        (lambda: evaluate([0, 1], [0, 2], {}, 2, 10, 0), "row 1: prediction 2"),
        (lambda: evaluate([0, 1], [0, 1], {"clean": np.array([1, 0])}, 2, 10, 0), "view 'clean'"),
        (lambda: evaluate([0, 1], [0, 1], {"none": np.zeros(2, dtype=bool)}, 2, 10, 0), "view 'none'"),
        (lambda: evaluate([0, 1], [0, 1], {"short": np.ones(1, dtype=bool)}, 2, 10, 0), "view 'short'"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(call, message):
    with pytest.raises(LaghuError, match=message):
        call()
