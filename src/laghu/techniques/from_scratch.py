"""A small model from scratch: the pruned shape, pretrained and fine-tuned as the baseline was, with no teacher at all.

What pruning starts from has been pretrained at full size; whether that is worth anything shows beside this row.
"""

from laghu import experiment
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """A backbone whose FFNs lack `pruning_level` of the neurons, and the classifier fine-tuned from it."""
    width = round(spec.architecture.intermediate_size * (1 - spec.pruning_level))
    small = spec.model_copy(
        update={"architecture": spec.architecture.model_copy(update={"intermediate_size": width})}
    )
    return [experiment.backbone(small), experiment.baseline(small, corpus)]
