"""Vocabulary trimming: the embeddings of tokens that a corpus hardly uses are cut away; nothing is trained.

Texts whose tokens all survive are classified exactly as before; others fall into more, shorter pieces.

Sources: Abdaoui, Pradel, Sigel 2020 (arXiv 2010.05609, "Load What You Need"); step 4 of Gurgurov et al. 2025 (arXiv
2505.16956).
"""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from laghu import backbones, experiment
from laghu.compression import vocabulary
from laghu.corpora import Corpus
from laghu.spec import RunSpec
from laghu.stages import Stage, stage
from laghu.techniques import pruning_distillation, token_counts
from laghu.untrained import reported


def compress(spec: RunSpec, corpus: Corpus, teacher: Stage) -> list[Stage]:
    """The pruned model where there is a pruning level, then it or the teacher with the smaller vocabulary."""
    before = pruning_distillation.compress(spec, corpus, teacher) if spec.pruning_level else []
    counted = token_counts.count(spec, AutoTokenizer.from_pretrained(teacher.model), spec.vocabulary.text)
    return [*before, counted, trim(spec, corpus, [teacher, *before][-1], counted)]


def trim(spec: RunSpec, corpus: Corpus, model: Stage, counted: Stage) -> Stage:
    """Keep the `vocabulary.size` tokens that are most frequent in the training split and the unlabelled text."""
    settings = spec.vocabulary

    def build(working: Path) -> dict[str, Any]:
        classifier, tokenizer = backbones.load_classifier(str(model.model), corpus.labels)
        development = corpus.splits["validation"]["text"][:]
        with reported(spec.measuring.country) as report:
            counts = token_counts.load(counted) + vocabulary.frequencies(tokenizer, corpus.splits["train"]["text"])
            trimmed = vocabulary.trim(classifier, tokenizer, vocabulary.kept_ids(tokenizer, counts, settings.size))
        report["tokens_per_text"] = {
            "before": vocabulary.mean_length(tokenizer, development),
            "after": vocabulary.mean_length(trimmed, development),
        }
        return experiment.finish(spec, corpus, working, classifier, trimmed, report)

    depends = {
        **experiment.inputs(spec, corpus, "techniques.vocabulary_trimming"), "model": model.key,
        "counted": counted.key, "vocabulary": settings.model_dump(), "max_length": spec.fine_tuning.max_length,
    }
    return stage("trimmed", ["backbones", "compression.vocabulary"], depends, build)
