import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from laghu import classical
from laghu.errors import LaghuError

TEXTS = ["मुंबईत क्रिकेटचा सामना रंगला", "भारतीय क्रिकेट संघाचा विजय", "निवडणुकीत पक्षाचा विजय", "मंत्री आणि निवडणूक आयोग"]
LABELS = [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("निवडणुकीत विजय", ["निवडणुकीत", "विजय"]),
        ("शक्‍ती व भक्ती", ["शक्‍ती", "व", "भक्ती"]),
        ("दुःख, आँख। ऑफिस॥", ["दुःख", "आँख", "ऑफिस"]),
        ("२०२४ मध्ये IPL-17", ["२०२४", "मध्ये", "ipl", "17"]),
    ],
)
def test_words_keep_their_vowel_signs_and_lose_their_punctuation(text, words):
    assert TfidfVectorizer(token_pattern=classical.WORD).build_analyzer()(text) == words


def test_scikit_learns_own_pattern_would_split_them():
    assert "निवडणुकीत" not in TfidfVectorizer().build_analyzer()("निवडणुकीत विजय")


def test_learns_and_counts_one_weight_for_each_feature_and_label():
    pipeline = classical.fit([*TEXTS, "पाऊस आणि शेती", "शेतीला पाऊस"], [*LABELS, 2, 2])
    assert list(pipeline.predict(["क्रिकेट सामना", "निवडणूक", "शेती"])) == [0, 1, 2]
    features = sum(len(vectorizer.vocabulary_) for _, vectorizer in pipeline[0].transformer_list)
    assert classical.parameters(pipeline) == 3 * (features + 1)


def test_same_seed_same_scores():
    first, second = (classical.fit(TEXTS, LABELS, seed=3).decision_function(TEXTS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_one_label_is_refused():
    with pytest.raises(LaghuError, match="at least two"):
        classical.fit(TEXTS, [1, 1, 1, 1])
