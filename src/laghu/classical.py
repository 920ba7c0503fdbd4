"""The classical row of the tables: TF-IDF of words and characters into a linear support vector machine."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from laghu.errors import LaghuError

# scikit-learn's own pattern splits Marathi words at every vowel sign: \w matches letters, not the marks they carry.
# Here a word keeps the marks of the Devanagari block (not its dandas, U+0964 and U+0965, nor the abbreviation sign
# U+0970) and the joiners ZWNJ and ZWJ; one-letter words count, such as व ("and").
WORD = r"[\w\u0900-\u0963\u0966-\u096f\u0971-\u097f\u200c\u200d]+"


def fit(texts: Sequence[str], labels: Sequence[int], seed: int = 0) -> Pipeline:
    """Words in runs of one and two beside characters within words in runs of two to five, with sublinear counts.

    Returns:
        A fitted pipeline whose `predict` takes texts and gives labels.

    Raises:
        LaghuError: fewer than two different labels.
    """
    if len(set(labels)) < 2:
        raise LaghuError(f"all {len(labels)} training texts bear one label; a classifier needs at least two.")
    features = make_union(
        TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )
    return make_pipeline(features, LinearSVC(random_state=seed)).fit(texts, labels)


def parameters(pipeline: Pipeline) -> int:
    """Trained numbers of a pipeline of `fit`: coefficients and intercepts of the linear classifier."""
    classifier = pipeline[-1]
    return classifier.coef_.size + classifier.intercept_.size
