"""One module per technique. Each has `compress(spec, corpus, teacher)`: the stages that the technique trains, in order,
none of which is the teacher itself unless the technique is to leave it as it is.

A run's key covers the module of its own technique and what that imports, not the others.
"""

from importlib import import_module

from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The stages of the run's technique, trained or found; the last one's model is the run's."""
    return import_module(f"{__name__}.{spec.technique}").compress(spec, corpus, teacher)
