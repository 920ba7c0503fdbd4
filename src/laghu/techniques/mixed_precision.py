"""Half precision: the classifier fine-tuned under autocast or, with a pruning level, pruned under it.

Source: Micikevicius et al. 2018, section 3.
"""

from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage
from laghu.techniques import baseline, pruning_distillation


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    technique = pruning_distillation if spec.pruning_level else baseline
    return technique.compress(spec, corpus, teacher)
