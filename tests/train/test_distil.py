"""Distillation: the plain formulas on trees, what a teacher says computed once, and teachers that do not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax
from transformers import PreTrainedModel, ProcessorMixin

from cityscribe import pipeline
from cityscribe.files import InputError
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.project import resolve
from cityscribe.records import Sample
from cityscribe.tokens.encode import Encoder
from cityscribe.train import computed
from cityscribe.train.collator import Collator
from cityscribe.train.computed import compute_values
from cityscribe.train.events import Outcomes, outcome_logprobs, taught_tokens
from cityscribe.train.groups import plan_groups
from cityscribe.train.objectives.distil import divergence
from cityscribe.train.score import summed_loss
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import TrainReport, train
from cityscribe.train.teacher import Student, _values, logits_width, store_teacher, taught_of
from cityscribe.train.tokenised import load_media
from cityscribe.train.tree_attention import attention_backend, tree_attention
from tests.train.conftest import City
from tests.train.test_objectives import pairs, prepared
from tests.train.test_supervised import assert_equal as assert_same_weights
from tests.train.test_supervised import stop_at

Load = Callable[[str], tuple[PreTrainedModel, ProcessorMixin]]


def moved(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """The same model with other weights in its decoder and connector."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter) * 0.05)
    return model


@pytest.fixture(scope="module")
def teacher(tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of the same family with other weights."""
    out = tmp_path_factory.mktemp("teacher") / "model"
    save_model(moved(load_model(tiny("llava"), dtype=torch.float32), 1), load_processor(tiny("llava")), out)
    return out


def plain_divergence(kind: str, t: Tensor, s: Tensor, share: float) -> Tensor:
    """Of log-probabilities [tokens, outcomes], by torch's own KL: `kl_div(input, target)` is KL(target || input)."""

    def kl(first: Tensor, second: Tensor) -> Tensor:
        return kl_div(second, first, reduction="none", log_target=True).sum(-1)

    between = torch.log(share * t.exp() + (1 - share) * s.exp())
    return {
        "forward": lambda: kl(t, s),
        "reverse": lambda: kl(s, t),
        "symmetric": lambda: share * kl(t, s) + (1 - share) * kl(s, t),
        "js": lambda: share * kl(t, between) + (1 - share) * kl(s, between),
        "skewed": lambda: kl(t, between),
        "skewed-reverse": lambda: kl(s, torch.log(share * s.exp() + (1 - share) * t.exp())),
    }[kind]()


def alone(model: PreTrainedModel, processor: ProcessorMixin, sample: Sample, root: Path) -> tuple[Tensor, Tensor]:
    """The logits that predict the trained tokens of one sample, and these: the whole of it through the model."""
    conversation = Encoder(model, processor).teach(
        sample.name, sample.messages, load_media(sample, root, TrainSettings())
    )
    inputs = {**conversation.tensors(), **conversation.media_inputs}
    logits = model(**inputs, use_cache=False).logits[0, :-1]
    trained = torch.from_numpy(conversation.trained)[1:]
    return logits[trained], torch.from_numpy(conversation.input_ids)[1:][trained]


def plain_loss(logits: Sequence[Tensor], said: Sequence[Tensor], ids: Sequence[Tensor], how: dict[str, Any]) -> Tensor:
    """(1 - alpha) CE + alpha T^2 D, the mean over answer tokens; D of the teacher's likeliest and all others as one."""
    temperature, alpha, k = how["temperature"], how["alpha"], how["likeliest"]
    losses = []
    for own, teachers, tokens in zip(logits, said, ids, strict=True):
        t, s = (each.div(temperature).softmax(-1) for each in (teachers, own))
        if k:
            top = t.topk(k, dim=-1).indices
            t, s = (torch.cat([p.gather(1, top), 1 - p.gather(1, top).sum(1, keepdim=True)], 1) for p in (t, s))
        apart = plain_divergence(how["divergence"], t.log(), s.log(), how.get("share") or 0.1)
        ce = -log_softmax(own, dim=-1)[torch.arange(len(tokens)), tokens]
        losses.append((1 - alpha) * ce + alpha * temperature**2 * apart)
    return torch.cat(losses).mean()


def loss_on_trees(collator: Collator, teacher: PreTrainedModel, student: PreTrainedModel, objective: Any) -> Tensor:
    groups, attention = collator.groups, collator.attention
    outcomes = Outcomes(objective.likeliest, objective.temperature, logits_width(teacher))
    backend = attention.backend if attention else "sdpa"
    collator.outcomes = None
    with attention_backend(teacher, backend):
        values = compute_values(collator, teacher, _values(teacher, collator, outcomes, torch.float64))
    collator.outcomes = outcomes
    collator.taught = [[taught_tokens(each, outcomes) for each in group] for group in values]
    with attention_backend(student, backend):
        batch = collator(range(len(groups)))
        parts = [
            summed_loss(objective, student, micro, groups, attention, torch.float64, bare=student)
            for micro in batch.micro_batches
        ]
    return torch.stack(parts).sum() / batch.denominator


OBJECTIVES = (
    {"divergence": "forward", "alpha": 0.7, "temperature": 2.0, "likeliest": 0},
    {"divergence": "forward", "alpha": 1.0, "temperature": 0.5, "likeliest": 16},
    {"divergence": "reverse", "alpha": 0.5, "temperature": 1.5, "likeliest": 8},
    {"divergence": "symmetric", "alpha": 0.9, "temperature": 1.0, "likeliest": 16, "share": 0.9},
    {"divergence": "js", "alpha": 0.5, "temperature": 2.0, "likeliest": 16, "share": 0.3},
    {"divergence": "skewed", "alpha": 1.0, "temperature": 1.0, "likeliest": 0},
    {"divergence": "skewed-reverse", "alpha": 0.3, "temperature": 3.0, "likeliest": 5},
)


def test_values_and_gradients_are_those_of_the_plain_formulas(load: Load, city: City) -> None:
    samples = [*city.samples[:2], city.samples[4], city.samples[5]]  # one of two rounds, and one of another group
    student, processor = prepared(load, "llava")
    teacher = moved(prepared(load, "llava")[0], 1)
    teacher.requires_grad_(False)
    parameters = dict(student.named_parameters())
    alones = [alone(student, processor, sample, city.root) for sample in samples]
    said = [alone(teacher, processor, sample, city.root)[0] for sample in samples]
    for how in OBJECTIVES:
        expected = plain_loss([each for each, _ in alones], said, [ids for _, ids in alones], how)
        gradient = torch.autograd.grad(expected, [*parameters.values()], retain_graph=True, allow_unused=True)
        scale = max(float(each.norm()) for each in gradient if each is not None)
        for change in ({}, {"share_prefix": False})[: 1 if how["likeliest"] == 16 else 2]:
            settings = TrainSettings(objective={"kind": "distil", "teacher": "x", **how}, **change)
            encoder = Encoder(student, processor)
            groups, _ = plan_groups(samples, city.root, encoder, settings)
            attention = tree_attention(student, torch.device("cpu"), 4096) if settings.share_prefix else None
            found = loss_on_trees(
                Collator(groups, city.root, encoder, settings, attention), teacher, student, settings.objective
            )
            assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-9), how
            again = torch.autograd.grad(found, [*parameters.values()], allow_unused=True)
            for name, one, other in zip(parameters, gradient, again, strict=True):
                if one is not None and other is not None:
                    assert float((one - other).norm()) <= 1e-9 * scale, (name, how)
                else:
                    assert one is None or not one.any(), name
                    assert other is None or not other.any(), name


def test_a_pair_is_counted_from_the_teacher(load: Load, city: City) -> None:
    samples = pairs(city)[:4]
    student, processor = prepared(load, "llava")
    teacher = moved(prepared(load, "llava")[0], 1)
    teacher.requires_grad_(False)
    sums = []
    for model in (student, teacher):
        found = [alone(model, processor, sample, city.root) for sample in samples]
        sums.append([log_softmax(x, dim=-1)[torch.arange(len(ids)), ids].sum() for x, ids in found])
    raised = [own - said for own, said in zip(*sums, strict=True)]
    margins = torch.stack([0.3 * (raised[n] - raised[n + 1]) for n in (0, 2)])
    expected = -torch.log(torch.sigmoid(margins)).mean()
    settings = TrainSettings(objective={"kind": "teacher-preference", "teacher": "x", "beta": 0.3})
    encoder = Encoder(student, processor)
    units = settings.objective.arrange(samples).units
    groups, _ = plan_groups(samples, city.root, encoder, settings, units=units)
    attention = tree_attention(student, torch.device("cpu"), 4096)
    collator = Collator(groups, city.root, encoder, settings, attention)
    found = loss_on_trees(collator, teacher, student, settings.objective)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-9)


def test_taking_tokens_together_never_makes_models_look_further_apart() -> None:
    torch.manual_seed(0)
    teacher, student = (torch.randn(64, 50, dtype=torch.float64) * 3 for _ in range(2))
    for kind in ("forward", "reverse", "symmetric", "js", "skewed", "skewed-reverse"):
        before = torch.zeros(64, dtype=torch.float64)
        for k in (1, 5, 20, 49, 0):
            outcomes = Outcomes(k, 1.5, 50)
            ids = teacher.topk(k, dim=1).indices if k else None
            pairs = [outcome_logprobs(each, ids, outcomes) for each in (teacher, student)]
            assert torch.allclose(pairs[1].exp().sum(1), torch.ones(64, dtype=torch.float64))
            apart = divergence(kind, *pairs, 0.3)  # type: ignore[arg-type]
            assert bool((apart >= before - 1e-12).all()), (kind, k)
            before = apart


def test_the_narrower_of_two_vocabularies_counts() -> None:
    logits = torch.randn(4, 40)
    padded = torch.cat([logits, torch.full((4, 8), 50.0)], dim=1)  # rows that no token has, and nobody trained
    outcomes = Outcomes(6, 1.0, 40)
    ids = logits.topk(6, dim=1).indices
    assert torch.equal(outcome_logprobs(padded, ids, outcomes), outcome_logprobs(logits, ids, outcomes))


SETTINGS = {"epochs": 2, "lr": 1e-2, "batch_groups": 1, "precision": "fp32", "save_steps": 1}


def settings_of(teacher: Path | str, **objective: Any) -> TrainSettings:
    chosen = {"kind": "distil", "teacher": str(teacher), "likeliest": 8, **objective}
    return TrainSettings(**SETTINGS, objective=chosen)


def trained(
    load: Load, samples: Sequence[Sample], root: Path, out: Path, settings: TrainSettings, **arguments: Any
) -> tuple[dict[str, Tensor], TrainReport]:
    model, processor = load("llava")
    report = train(samples, root, model, processor, settings, out, **arguments)
    return model.state_dict(), report


def test_it_learns_and_stopped_and_gone_on_it_ends_the_same(
    load: Load, city: City, teacher: Path, tmp_path: Path
) -> None:
    settings = settings_of(teacher, alpha=1.0).model_copy(update={"batch_groups": 2, "max_steps": 2, "warmup": 0.0})
    samples = city.samples[:10]  # one batch
    expected, report = trained(load, samples, city.root, tmp_path / "whole", settings)
    assert report.last_loss < 0.9 * report.first_loss
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        trained(load, samples, city.root, out, settings, progress=stop_at(2))
    before = (out / "teacher.parquet").read_bytes()
    made = (out / "teacher.parquet").stat().st_mtime_ns
    found, again = trained(load, samples, city.root, out, settings)
    assert again.resumed_from == 1
    assert (out / "teacher.parquet").stat().st_mtime_ns == made  # the teacher was not asked again
    assert (out / "teacher.parquet").read_bytes() == before == (tmp_path / "whole" / "teacher.parquet").read_bytes()
    assert_same_weights(expected, found)


def test_what_a_killed_teacher_had_said_is_not_asked_again(
    load: Load, city: City, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = load("llava")
    student, settings = Student.of(processor, logits_width(model)), settings_of(teacher)
    monkeypatch.setattr(computed, "PART", 1)
    store_teacher(city.samples, city.root, student, settings, tmp_path / "whole.parquet")
    file = tmp_path / "stopped.parquet"
    parts = file.with_name(file.name + ".parts")

    def stop(done: int, total: int) -> None:
        if parts.is_dir() and len(list(parts.iterdir())) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_teacher(city.samples, city.root, student, settings, file, on_group=stop)
    kept = {path: path.stat().st_mtime_ns for path in parts.iterdir()}
    assert len(kept) == 2
    asked = []
    monkeypatch.setattr(computed, "_of_group", _counted(computed._of_group, asked))
    store_teacher(city.samples, city.root, student, settings, file)
    assert asked == [2]
    assert file.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not parts.exists()


def _counted(function: Callable[..., Any], asked: list[int]) -> Callable[..., Any]:
    def counted(number: int, *rest: Any) -> Any:
        asked.append(number)
        return function(number, *rest)

    return counted


def test_outputs_of_another_teacher_or_way_or_sample_are_refused(
    load: Load, city: City, teacher: Path, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    model, processor = load("llava")
    file, student = tmp_path / "teacher.parquet", Student.of(processor, logits_width(model))
    store_teacher(city.samples[:5], city.root, student, settings_of(teacher), file)

    def taken(path: Path, settings: TrainSettings, samples: int = 5) -> Any:
        encoder = Encoder(model, processor)
        groups, _ = plan_groups(city.samples[:samples], city.root, encoder, settings)
        return taught_of(path, Collator(groups, city.root, encoder, settings, None), settings.objective)  # type: ignore[arg-type]

    outcomes, found = taken(file, settings_of(teacher, alpha=0.1, divergence="js"))
    assert outcomes == Outcomes(8, 1.0, logits_width(model))
    assert [len(part) for part in found] == [5]
    table = pq.read_table(file)
    tokens = table["tokens"].to_pylist()
    tokens[0][0] += 1
    column = pa.array(tokens, type=pa.list_(pa.int32()))
    pq.write_table(table.set_column(1, table.schema.field("tokens"), column), tmp_path / "moved.parquet")
    for path, settings, samples, why in (
        (file, settings_of(tiny("llava")), 5, "was computed by another teacher than"),
        (file, settings_of(teacher, temperature=2.0), 5, "likeliest 8 and temperature 1, the training has 8 and 2"),
        (file, settings_of(teacher), 6, "has no outputs for event_1"),
        (tmp_path / "none.parquet", settings_of(teacher), 5, "no file of a teacher's outputs"),
        (tmp_path / "moved.parquet", settings_of(teacher), 5, "was asked for other tokens than the student learns"),
    ):
        with pytest.raises(InputError, match=why):
            taken(path, settings, samples)


def test_teachers_that_cannot_teach(
    load: Load, city: City, teacher: Path, tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, out = tmp_path / "tokenizer", tmp_path / "out"
    model, processor = load("llava")
    processor.tokenizer = train_tokenizer(("Other words altogether, and more of them.",), 300)
    save_model(model, processor, other)
    with pytest.raises(InputError, match=r"train.objective.teacher .*: has another tokenizer than the student"):
        trained(load, city.samples, city.root, out, settings_of(other))
    with pytest.raises(InputError, match=r"train.objective.teacher: missing; objective distil needs a model"):
        trained(load, city.samples, city.root, out, settings_of(""))

    def restless(*args: Any, **kwargs: Any) -> Any:
        model = load_model(*args, **kwargs)
        model.lm_head.register_forward_hook(lambda _, inputs, output: output + torch.rand(()))
        return model

    monkeypatch.setattr("cityscribe.train.teacher.load_model", restless)
    with pytest.raises(InputError, match="says something else when it is asked the same again"):
        trained(load, city.samples, city.root, out, settings_of(teacher))
    assert not list(out.glob("teacher*"))


def test_a_run_has_a_stage_for_its_teacher(
    tiny: Callable[[str], Path], teacher: Path, city: City, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(city.root, data)
    rows = [json.dumps({"messages": list(each.messages), "images": list(each.images)}) for each in city.samples[:12]]
    (data / "rows.jsonl").write_text("\n".join(rows) + "\n")

    def settings(**objective: Any) -> Any:
        return resolve(
            {
                "name": "distilled",
                "runs": str(tmp_path / "runs"),
                "data": {"source": "messages", "path": str(data), "val_share": 0.3},
                "model": {"base": str(tiny("llava")), "method": "lora", "lora": {"rank": 2}},
                "train": {**SETTINGS, "max_steps": 2, "objective": {"kind": "distil", **objective}},
            }
        )

    made: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[Callable[..., None]]:
        made.append(name)
        yield lambda *_: None

    with pytest.raises(InputError, match=r"train.objective.teacher: missing"):
        pipeline.run(settings(), watch, lambda _: None, ("prepare", "train"))
    assert made == []
    chosen = {"teacher": str(teacher), "likeliest": 8}
    pipeline.run(settings(**chosen), watch, lambda _: None, ("prepare", "train"))
    assert made == ["prepare", "teacher", "train"]
    file = tmp_path / "runs" / "distilled" / "teacher" / "teacher.parquet"
    assert np.isfinite(pq.read_table(file)["logprobs"].combine_chunks().flatten().to_numpy()).all()
    changes = {"alpha": 0.1, "divergence": "js", "temperature": 2.0, "likeliest": 9}
    stale = {
        name: pipeline.Plan.of(settings(**{**chosen, name: value})).made_from["teacher"]
        for name, value in changes.items()
    }
    made_from = pipeline.Plan.of(settings(**chosen)).made_from["teacher"]
    assert {name for name, found in stale.items() if found != made_from} == {"temperature", "likeliest"}
    named = settings(**chosen, outputs=str(file))
    assert "teacher" not in pipeline.Plan.of(named).steps
