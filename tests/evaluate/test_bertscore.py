"""BERTScore against the definition of the paper, a token at a time, on a small encoder of a real family."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from cityscribe.cli import app
from cityscribe.evaluate.bertscore import BertScore, ScoringEncoder, bert_scores, load_encoder
from cityscribe.files import InputError

WORDS = ["a", "man", "walks", "runs", "to", "the", "car", "slowly", "red", "blue", "road", "he", "stands", "still"]
PAIRS = [
    ("a man walks to the car", "the man runs to a red car"),
    ("he stands still", "he stands still"),
    ("the road", "slowly a man walks to the blue car the red car he runs"),
    ("a car", "unknown words here"),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ScoringEncoder:
    folder = tmp_path_factory.mktemp("encoder") / "tiny-bert"
    words = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    base = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    base.pre_tokenizer = pre_tokenizers.Whitespace()
    base.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=base, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    return load_encoder(folder, 2)


def by_definition(
    reference: str, answer: str, encoder: ScoringEncoder, weights: dict[int, float] | None = None
) -> BertScore:
    """Each text through the model alone; the nearest token by loops."""
    sides = []
    for text in (reference, answer):
        ids = encoder.tokenizer(text, truncation=True, max_length=16)["input_ids"]
        with torch.no_grad():
            out = encoder.model(torch.tensor([ids]), output_hidden_states=True)
        sides.append((ids, out.hidden_states[2][0]))

    def side(one: tuple[list[int], torch.Tensor], other: tuple[list[int], torch.Tensor]) -> float:
        total = weight = 0.0
        for token, state in zip(*one, strict=True):
            if token in (2, 3):
                continue
            own = 1.0 if weights is None else weights.get(token, log(len(PAIRS) + 1))
            total += own * max(float(torch.cosine_similarity(state, theirs, dim=0)) for theirs in other[1])
            weight += own
        return total / weight

    precision, recall = side(sides[1], sides[0]), side(sides[0], sides[1])
    return BertScore(precision, recall, 2 * precision * recall / (precision + recall))


def test_scores_equal_the_definition_with_and_without_idf(encoder: ScoringEncoder) -> None:
    plain = bert_scores(PAIRS, encoder)
    for (reference, answer), found in zip(PAIRS, plain, strict=True):
        assert found == pytest.approx(by_definition(reference, answer, encoder), abs=1e-5)
    ids = [set(encoder.tokenizer(reference)["input_ids"]) for reference, _ in PAIRS]
    weights = {token: log((len(PAIRS) + 1) / (sum(token in one for one in ids) + 1)) for one in ids for token in one}
    for (reference, answer), found in zip(PAIRS, bert_scores(PAIRS, encoder, idf=True), strict=True):
        assert found == pytest.approx(by_definition(reference, answer, encoder, weights), abs=1e-5)
    assert plain[1] == pytest.approx((1, 1, 1), abs=1e-5)


def test_empty_and_long_texts_and_the_baseline(encoder: ScoringEncoder) -> None:
    empty, other = bert_scores([("a man", ""), ("a man", "the car")], encoder)
    assert empty == (0, 0, 0)
    assert bert_scores([("a man " * 40, "a man " * 30)], encoder)[0] == pytest.approx((1, 1, 1), abs=1e-5), "cut"
    base = BertScore(0.1, 0.2, 0.3)
    rescaled = bert_scores([("a man", "the car")], encoder, baseline=base)[0]
    assert rescaled == pytest.approx([(v - b) / (1 - b) for v, b in zip(other, base, strict=True)])


def test_what_made_a_number_is_said_and_what_is_no_encoder_refused(encoder: ScoringEncoder, tmp_path: Path) -> None:
    assert encoder.identity["layer"] == "2 of 3"
    assert encoder.identity["encoder"] == "tiny-bert"
    assert len(encoder.identity["encoder_sha256"]) == 64
    with pytest.raises(InputError, match="no encoder"):
        load_encoder(tmp_path)
    with pytest.raises(InputError, match="layers 0 to 3, not 7"):
        load_encoder(encoder.model.name_or_path, 7)


def test_the_command_scores_a_file_and_writes_what_made_the_numbers(encoder: ScoringEncoder, tmp_path: Path) -> None:
    lines = [{"id": f"q{n}", "scenario": f"s{n}", "answer": a, "reference": r} for n, (r, a) in enumerate(PAIRS)]
    lines.append({"id": "open", "scenario": "s", "answer": "a car"})
    file = tmp_path / "predictions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["score", "bertscore", str(file), "--encoder", encoder.model.name_or_path, "--layer", "2"]
    outputs = ["--output", str(tmp_path / "s.json"), "--segments", str(tmp_path / "each.json")]
    found = CliRunner().invoke(app, [*arguments, *outputs])
    assert found.exit_code == 0, found.output
    assert "1 of 5 answers have no reference" in found.output
    total = json.loads((tmp_path / "s.json").read_text())
    each = json.loads((tmp_path / "each.json").read_text())
    assert total["f1"] == pytest.approx(sum(one["f1"] for one in each.values()) / 4)
    assert total["interval"][0] < total["f1"] < total["interval"][1]
    made_by = json.loads((tmp_path / "s.provenance.json").read_text())
    assert (made_by["layer"], made_by["encoder"]) == ("2 of 3", "tiny-bert")
