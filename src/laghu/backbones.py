"""Where an encoder comes from: pretrained here from scratch, a Hugging Face checkpoint, or the paper's bare shape."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DataCollatorForLanguageModeling,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    set_seed,
)

from laghu.errors import LaghuError
from laghu.spec import Architecture, Pretraining
from laghu.training import TrainingReport, arguments, train

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# BERT's own, on hidden states. None on attention, where it would keep torch from its fused kernel.
FINE_TUNING_DROPOUT = 0.1

# Characters that a tokenizer knows; texts with any other hold [UNK].
LARGEST_ALPHABET = 1000

# Root mean square of the word vectors that pretraining starts from; BERT's random ones have 0.02.
EMBEDDING_SCALE = 0.1

# config.json of l3cube-pune/marathi-bert-v2, the encoder under marathi-topic-all-doc-v2 (arXiv 2409.14162).
PAPER_SHAPE = {
    "vocab_size": 197_285,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}


def train_tokenizer(texts: Sequence[str], vocab_size: int, max_length: int) -> PreTrainedTokenizerFast:
    """Train a WordPiece tokenizer that keeps Devanagari intact; the same texts give the same tokenizer.

    The text is only brought to NFC and its control characters become spaces. BERT's own normaliser would strip the
    zero-width joiners that Marathi spells its eyelash reph with (दुसर्‍या), and with accent stripping the matras too.
    """
    untrained = _wordpiece({})
    # The library numbers single characters in the order of a hash table, another one in every process, and breaks ties
    # between merges by these numbers. Named beforehand, as if they were special tokens, they have a fixed order.
    alphabet, continuing = _alphabet(untrained, texts)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL_TOKENS, *alphabet, *(f"##{c}" for c in continuing)],
        initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False,
    )
    untrained.train_from_iterator(texts, trainer)
    tokenizer = _wordpiece(untrained.get_vocab())
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=max_length,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    )


def _wordpiece(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\p{Cc}+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _alphabet(tokenizer: Tokenizer, texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """The most frequent characters in the order of their code points, and those of them that continue a word."""
    counts: Counter[str] = Counter()
    continuing: set[str] = set()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(word)
            continuing.update(word[1:])
    alphabet = sorted(sorted(counts, key=lambda character: (-counts[character], character))[:LARGEST_ALPHABET])
    return alphabet, [character for character in alphabet if character in continuing]


def pack(texts: Dataset, tokenizer: PreTrainedTokenizerBase, sequence_length: int) -> Dataset:
    """Cut the running text into rows of exactly `sequence_length` tokens, so that no step goes into padding.

    Texts follow each other with [SEP] between them; a row is [CLS], `sequence_length - 2` tokens, [SEP]. The rest that
    fills no row is dropped.
    """
    body = sequence_length - 2
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id

    def pack_rows(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(
            rows["text"], add_special_tokens=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        stream = list(chain.from_iterable([*ids, sep] for ids in encoded))
        starts = range(0, len(stream) - body + 1, body)
        return {"input_ids": [[cls, *stream[start:start + body], sep] for start in starts]}

    packed = texts.map(pack_rows, batched=True, batch_size=20_000, remove_columns=texts.column_names)
    if not len(packed):
        raise LaghuError(f"the pretraining text fills no row of {sequence_length} tokens; shorten sequence_length")
    return packed


def cooccurrence_embeddings(rows: np.ndarray, vocab_size: int, dimensions: int) -> np.ndarray:
    """Word vectors from counts alone: a truncated SVD of positive pointwise mutual information.

    A few million tokens teach an encoder little beyond word frequencies before its budget is spent; these vectors take
    seconds and already put words of one topic side by side. They are where masked-language modelling starts from.

    Sources: Levy & Goldberg 2014 (PPMI factorised); Levy, Goldberg, Dagan 2015, section 3 (window of 5 with weights
    1/distance, context distribution smoothed by 0.75, singular values to the power 1/2).

    Args:
        rows: token ids of running text, shape (rows, tokens).

    Returns:
        Shape (vocab_size, dimensions), root mean square `EMBEDDING_SCALE`; zero for tokens that don't occur.
    """
    counts = sparse.csr_matrix((vocab_size, vocab_size), dtype=np.float32)
    for distance in range(1, 6):
        left, right = rows[:, :-distance].ravel(), rows[:, distance:].ravel()
        weights = np.full(len(left), 1 / distance, dtype=np.float32)
        counts = counts + sparse.coo_matrix((weights, (left, right)), shape=counts.shape).tocsr()
    counts = (counts + counts.T).tocoo()
    word = np.asarray(counts.sum(axis=1)).ravel()
    context = word**0.75 / (word**0.75).sum()
    information = np.log(counts.data / (word[counts.row] * context[counts.col]))
    positive = information > 0
    ppmi = sparse.csr_matrix(
        (information[positive], (counts.row[positive], counts.col[positive])), shape=counts.shape
    )
    rank = min(dimensions, vocab_size)
    left_vectors, values, _ = randomized_svd(ppmi, rank, n_iter=3, random_state=0)
    vectors = np.zeros((vocab_size, dimensions))
    vectors[:, :rank] = left_vectors * np.sqrt(values)
    return EMBEDDING_SCALE * vectors / max(np.sqrt((vectors**2).mean()), 1e-12)


class MaskedLanguageModelTrainer(Trainer):
    """Masked-language modelling that computes vocabulary logits at the masked positions only.

    The loss is that of `BertForMaskedLM`; leaving out the positions that don't enter it saves most of the cost of a
    small encoder under a large vocabulary.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over the batch, not a sum to be divided

    def compute_loss(  # type: ignore[override]
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        labels = inputs["labels"]
        masked = labels != -100
        # accelerate puts autocast around model.forward, which is not called here. Packed rows have no padding, and
        # without a mask attention can take its fastest kernel.
        with self.accelerator.autocast():
            hidden = model.bert(inputs["input_ids"]).last_hidden_state
            logits = model.cls(hidden[masked])
        return functional.cross_entropy(logits.float(), labels[masked])


def pretrain(
    text: Dataset, architecture: Architecture, settings: Pretraining, folder: Path, country: str
) -> TrainingReport:
    """Train a tokenizer and a BERT encoder from scratch; write both to `folder / "model"`.

    Interrupted, it goes on from its last checkpoint in `folder / "trainer"`. The token embeddings start from
    `cooccurrence_embeddings`; the report covers the training, not those seconds.

    Source: Devlin et al. 2019, section 3.1, task 1 (masked LM); whole-sentence packing after Liu et al. 2019,
    section 4.2 (RoBERTa, "full sentences"), without next-sentence prediction; no dropout while pretraining on a small
    budget, after Geiping & Goldstein 2023, section 4.3 ("Cramming").
    """
    tokenizer = train_tokenizer(text["text"][:], architecture.vocab_size, architecture.max_position_embeddings)
    set_seed(settings.seed)
    shape = {**architecture.model_dump(), "vocab_size": len(tokenizer)}
    model = BertForMaskedLM(BertConfig(**shape, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    packed = pack(text, tokenizer, settings.sequence_length)
    rows = np.asarray(packed.with_format("numpy")["input_ids"][:])[:, 1:-1]
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight += torch.as_tensor(
            cooccurrence_embeddings(rows, len(tokenizer), architecture.hidden_size), dtype=torch.float32
        )
    if settings.steps:
        args = arguments(
            folder / "trainer", steps=settings.steps, batch_size=settings.batch_size,
            learning_rate=settings.learning_rate, warm_up=settings.warm_up, weight_decay=0.01,
            precision=settings.precision, seed=settings.seed, workers=settings.workers,
        )
        if settings.compile:
            model.bert.compile()
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=settings.mask_probability)
        report = train(MaskedLanguageModelTrainer(model, args, collator, packed), country)
    else:
        report = TrainingReport(0, 0.0, 0, 0.0, 0.0, {}, {}, [])
    model.config.hidden_dropout_prob = FINE_TUNING_DROPOUT
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return report


def load_classifier(name: str, labels: list[str]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder with a classification head for `labels`, in that order.

    A checkpoint whose head already knows exactly these labels keeps it, its rows put in the order of `labels`; any
    other gets a new head. Weights are read from safetensors only and no remote code is run.

    Args:
        name: Hugging Face name, such as `l3cube-pune/marathi-topic-all-doc-v2`, or a local folder.

    Raises:
        LaghuError: nothing of that name can be had, or it isn't an encoder that transformers can classify with.
    """
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        known = [str(config.id2label[index]) for index in range(config.num_labels)]
        keeps_head = sorted(known) == sorted(labels)
        order = known if keeps_head else labels
        model = AutoModelForSequenceClassification.from_pretrained(
            name, num_labels=len(labels), id2label=dict(enumerate(order)),
            label2id={label: index for index, label in enumerate(order)},
            ignore_mismatched_sizes=not keeps_head, use_safetensors=True, trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise LaghuError(
            f"model {name!r} can't be loaded: it is neither a folder with config.json and model.safetensors nor a name "
            f"that the Hugging Face hub answers to from here ({reason})"
        ) from error
    if not keeps_head:
        _new_head(model)
    elif known != labels:
        _reorder_head(model, [known.index(label) for label in labels], labels)
    return model, tokenizer


def paper_model(intermediate_size: int = 3072, num_labels: int = 12) -> BertForSequenceClassification:
    """The paper's exact shape on the meta device: its cost is known from it, and it needs no weights.

    Args:
        intermediate_size: FFN width; 2304, 1536 and 768 are the paper's 25, 50 and 75 %.
    """
    config = BertConfig(**{**PAPER_SHAPE, "intermediate_size": intermediate_size, "num_labels": num_labels})
    with torch.device("meta"):
        return BertForSequenceClassification(config)


def _head(model: PreTrainedModel) -> torch.nn.Linear:
    return model.classifier if isinstance(model.classifier, torch.nn.Linear) else model.classifier.out_proj


def _new_head(model: PreTrainedModel) -> None:
    # from_pretrained makes one only where the number of labels differs
    torch.nn.init.normal_(_head(model).weight, std=model.config.initializer_range)
    torch.nn.init.zeros_(_head(model).bias)


def _reorder_head(model: PreTrainedModel, rows: list[int], labels: list[str]) -> None:
    head = _head(model)
    with torch.no_grad():
        head.weight.copy_(head.weight[rows].clone())
        head.bias.copy_(head.bias[rows].clone())
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: index for index, label in enumerate(labels)}
