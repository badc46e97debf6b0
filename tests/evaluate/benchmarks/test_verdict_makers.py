"""Verdicts of a classifier and of an encoder are those of the plain models, one pair at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from cityscribe.evaluate.benchmarks import BENCHMARKS
from cityscribe.evaluate.benchmarks.verdict_makers import classified, encoded, read_baseline
from cityscribe.evaluate.bertscore import bert_scores, load_encoder
from cityscribe.files import InputError
from tests.evaluate.benchmarks.small_driving import MIXED, lingoqa, tar

WORDS = "question answer student why do we stop there people the light is red none a car van driver".split()  # noqa: SIM905


def tiny_bert(folder: Path, labels: int | None) -> Path:
    torch.manual_seed(0)
    words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **special).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=128, **sizes, num_labels=labels or 2)
    model = BertModel(config) if labels is None else BertForSequenceClassification(config)
    model.save_pretrained(folder)
    return folder


def test_the_classifier_of_lingoqa_takes_the_highest_of_the_references(tmp_path: Path) -> None:
    """As `judge.py` of wayveai/LingoQA @39d86b1 does, one question at a time and without a batch."""
    lingoqa(tmp_path / "data")
    folder = tiny_bert(tmp_path / "judge", 1)
    benchmark = BENCHMARKS["lingoqa"]
    questions = benchmark.read(tmp_path / "data", "val")
    answers = MIXED["lingoqa"]
    verdicts, by = classified(benchmark, questions, answers, folder)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    for question in questions:
        highest = -1e9
        for reference in question.truth:
            said = answers[question.id].lower().strip()
            text = f"[CLS]\nQuestion: {question.text}\nAnswer: {reference.lower().strip()}\nStudent: {said}"
            with torch.inference_mode():
                logit = model(**tokenizer(text, return_tensors="pt")).logits.item()
            highest = max(highest, logit)
        verdict = verdicts[question.id]
        assert verdict.score == pytest.approx(highest, abs=1e-6)
        assert verdict.correct == (highest > 0)
    assert len(by["sha256"]) == 64
    right = [verdicts[question.id].correct for question in questions]
    assert benchmark.score(questions, answers, verdicts).total["accuracy"] == 100 * sum(map(bool, right)) / 2


def test_bertscore_of_open_tasks_is_that_of_the_encoder_rescaled(tmp_path: Path) -> None:
    tar(tmp_path / "data")
    folder = tiny_bert(tmp_path / "encoder", None)
    baseline = tmp_path / "en.tsv"
    baseline.write_text("LAYER,P,R,F\n0,0.1,0.1,0.1\n1,0.2,0.3,0.25\n2,0.5,0.5,0.5\n")
    benchmark = BENCHMARKS["tar"]
    questions = benchmark.read(tmp_path / "data", "test")
    verdicts, by = encoded(benchmark, questions, MIXED["tar"], folder, layer=1, baseline=baseline)
    assert list(verdicts) == benchmark.to_judge.ids(questions)
    asked = [question for question in questions if question.id in verdicts]
    plain = bert_scores([(q.truth[0], MIXED["tar"][q.id]) for q in asked], load_encoder(folder, 1))
    for question, score in zip(asked, plain, strict=True):
        assert verdicts[question.id].score == pytest.approx((score.f1 - 0.25) / 0.75)
    assert (by["layer"], by["rescaled"]) == ("1 of 2", "by en.tsv")
    with pytest.raises(InputError, match="has no layer 3; it has 0 to 2"):
        read_baseline(baseline, 3)


def test_what_is_no_judge_is_refused(tmp_path: Path) -> None:
    lingoqa(tmp_path / "data")
    benchmark = BENCHMARKS["lingoqa"]
    questions = benchmark.read(tmp_path / "data", "val")
    with pytest.raises(InputError, match="is no classifier that can be loaded"):
        classified(benchmark, questions, MIXED["lingoqa"], tmp_path / "data")
    with pytest.raises(InputError, match="has 3 outputs, expected one"):
        classified(benchmark, questions, MIXED["lingoqa"], tiny_bert(tmp_path / "judge", 3))
    (tmp_path / "en.tsv").write_text("1,2,3\n")
    with pytest.raises(InputError, match="line 1: expected LAYER,P,R,F"):
        read_baseline(tmp_path / "en.tsv", 1)
