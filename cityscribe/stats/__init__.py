"""What a data set holds: counts, sizes, lengths, words, near-duplicates and leaks between its splits.

`counts` measures, `duplicates` compares captions, frames and files, `page` writes `stats.json` and the page.
"""
