"""From the name of a technique to its module, for whoever has runs of several techniques to train."""

from importlib import import_module

from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The stages of the run's technique, trained or found; the last one's model is the run's."""
    return import_module(f"laghu.techniques.{spec.technique}").compress(spec, corpus, teacher)
