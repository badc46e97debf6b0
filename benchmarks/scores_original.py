"""The scores of the profile `coco` as pycocoevalcap computes them: the peer of `benchmarks.scores`.

Its tokenizer, its scorers and its jars through its own classes, without anything of `cityscribe.evaluate`.
`python -m benchmarks.scores_original ROOT PREDICTIONS OUT` needs Java and pycocoevalcap.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer


def main(root: Path, predictions: Path, out: Path) -> None:
    predicted = json.loads(predictions.read_text(encoding="utf-8"))
    segments: dict[str, dict[str, float]] = {}
    meteor = Meteor()  # which reads its tables once, in ten seconds
    # The captions of a road user are a corpus, as in the profile.
    for role in ("pedestrian", "vehicle"):
        truths, results = {}, {}
        for file in sorted(root.rglob("*_caption.json")):
            scenario = file.name.removesuffix("_caption.json")
            found = {segment["labels"][0]: segment for segment in predicted[scenario]}
            for reference in json.loads(file.read_text(encoding="utf-8"))["event_phase"]:
                phase = reference["labels"][0]
                key = f"{scenario}/{phase}/{role}"
                truths[key] = [{"caption": reference[f"caption_{role}"]}]
                results[key] = [{"caption": found[phase][f"caption_{role}"]}]
        tokenizer = PTBTokenizer()
        given = tokenizer.tokenize(truths), tokenizer.tokenize(results)
        _, bleus = Bleu(4).compute_score(*given, verbose=0)
        columns = [*bleus, *(scorer.compute_score(*given)[1] for scorer in (meteor, Rouge(), Cider()))]
        names = ("bleu-1", "bleu-2", "bleu-3", "bleu", "meteor", "rouge-l", "cider")
        for key, *values in zip(truths, *columns, strict=True):
            segments[key] = dict(zip(names, map(float, values), strict=True))
    out.write_text(json.dumps(segments), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
