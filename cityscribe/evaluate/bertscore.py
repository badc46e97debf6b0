"""BERTScore (Zhang et al. 2020, arXiv 1904.09675) with any encoder: how near the tokens of two texts are to each other.

Each token of one text is matched with the nearest one of the other, by the cosine of their hidden states in one layer
of the encoder. Precision is the mean over the tokens of the answer, recall over those of the reference (section 3 of
the paper), F1 their harmonic mean. As in the authors' program, tokens that begin and end a text can be matched with but
do not count, a text is cut at the length that its encoder takes, and a pair with an empty text has 0. Unlike there, a
pair is scored without padding, whose zeros could win over negative cosines.

Numbers of two encoders, or two layers, do not compare: `ScoringEncoder.identity` belongs to every number.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log
from pathlib import Path
from typing import NamedTuple

import torch
import transformers
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from cityscribe.evaluate import resampling
from cityscribe.evaluate.provenance import provenance
from cityscribe.evaluate.question_files import read_questions
from cityscribe.evaluate.resampling import Interval
from cityscribe.files import InputError

BATCH_SIZE = 32
PREFIX_SPACE = ("roberta", "gpt2", "longformer", "bart")
"""Types of models whose tokens differ at the beginning of a text unless a space stands before it."""


class BertScore(NamedTuple):
    """Of one pair: cosines, so from -1 to 1; rescaled where a baseline is given."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class ScoringEncoder:
    """What turns texts into hidden states."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layer: int  # 0 is what goes into the first one
    identity: Mapping[str, str]  # what made a number: the model, the hash of its weights, the layer, the version

    def token_ids(self, text: str) -> list[int]:
        longest = min(self.tokenizer.model_max_length, getattr(self.model.config, "max_position_embeddings", 1 << 20))
        ids: list[int] = self.tokenizer(text.strip(), truncation=True, max_length=longest)["input_ids"]
        return ids

    @torch.no_grad()
    def states(self, token_ids: Sequence[list[int]]) -> list[Tensor]:
        """The hidden states of each text, [tokens, width], each of length 1."""
        found: list[Tensor | None] = [None] * len(token_ids)
        order = sorted(range(len(token_ids)), key=lambda n: len(token_ids[n]))
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            padded = self.tokenizer.pad({"input_ids": [token_ids[n] for n in batch]}, return_tensors="pt")
            inputs = {name: padded[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
            hidden = self.model(**inputs, output_hidden_states=True).hidden_states[self.layer].float()
            hidden = torch.nn.functional.normalize(hidden, dim=-1).cpu()
            for n, states, kept in zip(batch, hidden, inputs["attention_mask"].bool().cpu(), strict=True):
                found[n] = states[kept]
        return [states for states in found if states is not None]


def load_encoder(folder: Path | str, layer: int | None = None) -> ScoringEncoder:
    """The encoder in a folder, or of a hub id; by default its last layer.

    Raises InputError for what is no encoder with safetensors and a tokenizer, and for a layer that it has not.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
        if model.config.model_type in PREFIX_SPACE:
            tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: is no encoder that can be loaded: {str(error).splitlines()[0]}") from error
    layers = model.config.num_hidden_layers
    chosen = layers if layer is None else layer
    if not 0 <= chosen <= layers:
        raise InputError(f"{folder}: has the layers 0 to {layers}, not {layer}")
    if tokenizer.pad_token is None:
        raise InputError(f"{folder}: its tokenizer has no padding token")
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode() + weights.numpy().tobytes())
    identity = {
        "encoder": Path(folder).name,
        "encoder_type": model.config.model_type,
        "encoder_sha256": digest.hexdigest(),
        "layer": f"{chosen} of {layers}",
        "transformers": transformers.__version__,
    }
    return ScoringEncoder(model, tokenizer, chosen, identity)


def bert_scores(
    pairs: Sequence[tuple[str, str]],
    encoder: ScoringEncoder,
    *,
    idf: bool = False,
    baseline: BertScore | None = None,
) -> list[BertScore]:
    """The score of each pair of a reference and an answer.

    With `idf` a token counts by how rare it is in the references, log((texts + 1) / (texts with it + 1)). A `baseline`
    is what unrelated texts have with this encoder and layer; then a score is (score - baseline) / (1 - baseline).
    """
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    ids = {text: encoder.token_ids(text) for text in texts}
    states = dict(zip(texts, encoder.states([ids[text] for text in texts]), strict=True))
    weights = _idf([ids[reference] for reference, _ in pairs]) if idf else defaultdict(lambda: 1.0)
    special = set(encoder.tokenizer.all_special_ids) - {encoder.tokenizer.unk_token_id}
    scores = []
    for reference, answer in pairs:
        counted = {
            text: torch.tensor([0.0 if token in special else weights[token] for token in ids[text]])
            for text in (reference, answer)
        }
        found = _matched(states[reference], counted[reference], states[answer], counted[answer])
        if baseline is not None:
            found = BertScore(*((value - base) / (1 - base) for value, base in zip(found, baseline, strict=True)))
        scores.append(found)
    return scores


@dataclass(frozen=True, slots=True)
class BertScores:
    """What the answers of a file have. `interval` is of the mean F1, None where there are fewer than two groups."""

    mean: BertScore
    interval: Interval | None
    each: Mapping[str, BertScore]
    warnings: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def total(self) -> dict[str, object]:
        bounds = None if self.interval is None else [self.interval.low, self.interval.high]
        return {"answers": len(self.each), **self.mean._asdict(), "interval": bounds}

    @property
    def segments(self) -> dict[str, dict[str, float]]:
        return {key: score._asdict() for key, score in self.each.items()}


def score_answers(predictions: Path, encoder: ScoringEncoder, *, idf: bool = False, seed: int = 0) -> BertScores:
    """The scores of the JSON lines of `predict`, each against the reference beside it.

    Lines without a reference are counted and not scored. Raises InputError for a file that is malformed or has none.
    """
    questions, _ = read_questions(predictions)
    scored = [question for question in questions if question.reference.strip()]
    if not scored:
        raise InputError(f"{predictions}: has no answer with a reference beside it")
    found = bert_scores([(question.reference, question.answer or "") for question in scored], encoder, idf=idf)
    groups = [question.group for question in scored]
    means = (fsum(values) / len(found) for values in zip(*found, strict=True))
    left = len(questions) - len(scored)
    references = {question.key: question.reference for question in scored}
    made_by = provenance("bertscore", None, references, predictions, ("torch", "numpy"))
    return BertScores(
        BertScore(*means),
        resampling.interval([resampling.stratum(groups, [""] * len(groups), [one.f1 for one in found])], seed),
        {question.key: one for question, one in zip(scored, found, strict=True)},
        (f"{predictions}: {left} of {len(questions)} answers have no reference and are not scored",) if left else (),
        {**made_by, **encoder.identity, "idf": str(idf).lower(), "rescaled": "false", "seed": str(seed)},
    )


def _matched(reference: Tensor, of_reference: Tensor, answer: Tensor, of_answer: Tensor) -> BertScore:
    """Greedy matching of two texts: states [tokens, width] and the weights of their tokens."""
    if float(of_reference.sum()) == 0 or float(of_answer.sum()) == 0:
        return BertScore(0.0, 0.0, 0.0)
    cosines = answer @ reference.T
    precision = float((cosines.amax(1) * of_answer).sum() / of_answer.sum())
    recall = float((cosines.amax(0) * of_reference).sum() / of_reference.sum())
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return BertScore(precision, recall, f1)


def _idf(texts: Sequence[list[int]]) -> defaultdict[int, float]:
    """Token -> its weight by these texts; that of a token in none is the largest."""
    having = Counter(token for text in texts for token in set(text))
    weights: defaultdict[int, float] = defaultdict(lambda: log(len(texts) + 1))
    weights.update({token: log((len(texts) + 1) / (count + 1)) for token, count in having.items()})
    return weights
