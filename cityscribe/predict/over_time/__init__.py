"""Decoders of answers over time: how the answers to the questions of a sequence are chosen together
(`predict.over_time`).

A sequence is one view of a scenario, its steps are the phases. A decoder gets the log-likelihood of every option of
every question and gives back an option of each.
"""

from __future__ import annotations

from cityscribe.predict.over_time.decoder import AnswerDecoder, check_decoder
from cityscribe.registry import Registry

_ROOM = "cityscribe.predict.over_time"

ANSWER_DECODERS: Registry[type[AnswerDecoder]] = Registry(
    "answer-decoder", "how the answers of a scenario are chosen together (predict.over_time)", check_decoder
)
ANSWER_DECODERS.add("independent", f"{_ROOM}.decoder:Independent", "each question for itself: its likeliest option")
ANSWER_DECODERS.add(
    "viterbi",
    f"{_ROOM}.viterbi:Viterbi",
    "the best answers together, with what the training answers say of answers, relations and changes",
    paper="Viterbi 1967",
)
ANSWER_DECODERS.add(
    "one-yes-one-no",
    f"{_ROOM}.yes_no:OneYesOneNo",
    "of two yes/no questions one is a yes and the other a no",
)
