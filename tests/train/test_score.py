"""The head in chunks: the same loss and gradients as with the logits of the whole vocabulary at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe.tokens.encode import Encoder
from cityscribe.train import score
from cityscribe.train.collator import Collator
from cityscribe.train.groups import plan_groups
from cityscribe.train.score import can_be_chunked, summed_loss
from cityscribe.train.settings import TrainSettings
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.tiny_models import VOCABULARY
from tests.train.conftest import City

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


@pytest.mark.parametrize("family", ["llava", "qwen3-vl", "gemma3", "smolvlm"])
def test_loss_and_gradients_do_not_depend_on_the_chunks(
    family: str, load: Load, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings()
    found = []
    largest = 0

    def watch(module: torch.nn.Module, hidden: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, output.numel())

    for chunk in (score.CHUNK, 7 * (VOCABULARY + 10)):
        monkeypatch.setattr(score, "CHUNK", chunk)
        model, processor = load(family)
        encoder = Encoder(model, processor)
        groups, _ = plan_groups(city.samples[:5], city.root, encoder, settings)
        attention = tree_attention(model, torch.device("cpu"), 4096)
        (micro,) = Collator(groups, city.root, encoder, settings, attention)([0]).micro_batches
        assert can_be_chunked(model)
        head = model.get_output_embeddings()
        head.register_forward_hook(watch)
        largest = 0
        with attention_backend(model, attention.backend):
            loss = summed_loss(settings.objective, model, micro, groups, attention, torch.float32, bare=model)
            loss.backward()
        assert "forward" not in vars(head)
        assert (largest == len(micro.rows.target)) == (len(found) == 1)  # one number a token instead of its logits
        found.append(
            (float(loss.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        )
    (expected, plain), (chunked, gradients) = found
    assert chunked == pytest.approx(expected, rel=1e-6)
    scale = max(float(gradient.norm()) for gradient in plain.values())
    for name, gradient in plain.items():
        assert float((gradient - gradients[name]).norm()) <= 1e-5 * scale, name


def test_logits_that_change_behind_the_head_are_not_chunked(load: Load) -> None:
    model, _ = load("gemma3")
    model.config.get_text_config().final_logit_softcapping = 30.0
    assert not can_be_chunked(model)
