"""The profile `coco`: the metrics of pycocoevalcap, without Java.

`profile` joins them; `tokens`, `ngrams` (BLEU and CIDEr-D), `rouge` and `meteor` are the rules; `original` runs the
original instead, for audits. METEOR stands on `normalise`, `porter2`, `lexicon`, `paraphrases`, `matching` and
`aligner`.
"""
