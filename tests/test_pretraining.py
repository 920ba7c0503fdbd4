import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMaskedLM

from laghu import pretraining
from laghu.errors import LaghuError
from laghu.spec import RunSpec, Study, TokenRun


@pytest.mark.parametrize(("length", "masked"), [(16, 4), (32, 8)])
def test_operations_equal_those_that_torch_counts(length, masked):
    """Forward and backward of encoder and head, the head at the masked positions only."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=90, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, attn_implementation="eager",
    )
    model = BertForMaskedLM(config)
    ids = torch.randint(90, (3, length))
    with FlopCounterMode(display=False) as counter:
        hidden = model.bert(ids).last_hidden_state
        model.cls(hidden[:, :masked]).sum().backward()
    found = 3 * length * pretraining.flops_per_token(config, length, masked / length)
    assert found == counter.get_total_flops()


def test_pace_leaves_out_the_start():
    log = [{"step": step, "loss": 1.0, "seconds": 60 + 0.5 * step} for step in (10, 20, 30)]
    assert pretraining.tokens_per_second(log, tokens_per_step=100) == pytest.approx(200)


def test_pace_of_a_resumed_training_is_that_since_its_clock_began_anew():
    log = [{"step": 10, "seconds": 100.0}, {"step": 20, "seconds": 200.0}, {"step": 30, "seconds": 5.0},
           {"step": 40, "seconds": 6.0}]
    assert pretraining.tokens_per_second(log, tokens_per_step=3) == pytest.approx(30)


@pytest.mark.parametrize("seconds", [[], [1.0], [2.0, 1.0]])
def test_no_pace_can_be_told_from_a_short_log(seconds):
    log = [{"step": step, "seconds": value} for step, value in enumerate(seconds, start=1)]
    assert pretraining.tokens_per_second(log, tokens_per_step=3) is None


def test_a_study_without_a_backbone_of_its_own_is_refused():
    runs = (RunSpec(technique="classical"), RunSpec(technique="baseline", model="some/model"))
    with pytest.raises(LaghuError, match="'hub' pretrains no backbone"):
        pretraining.first_encoder(Study(name="hub", title="", runs=runs))


def test_a_study_of_words_alone_has_a_backbone():
    run = TokenRun(study="words", seed=2)
    spec = pretraining.first_encoder(Study(name="words", title="", runs=(), tokens=(run,)))
    assert (spec.study, spec.seed, spec.architecture) == ("words", 2, run.architecture)
    assert spec.pretraining == run.pretraining
