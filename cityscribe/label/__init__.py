"""Labels for clips that have none, made by several models that have to agree, and looked through by a person.

    clips ──> frames ──> detectors ──> boxes, fused (`fusion`) ──> tracks ──┐
                    └──> scene readers ──> votes in a window (`voting`) ────┴──> labels.jsonl: sure, uncertain, refused
                                              ^ motion (`motion`)                     │
                                                                                      └──> a page (`app`) ──> answers

`settings` says who labels and what has to be kept, `looking` asks the labellers, `clips` makes labels of what they say.
The source `labels` reads what is sure, and what a person said of the rest, as training data. Importing this loads none
of them.
"""
