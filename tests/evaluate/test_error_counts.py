"""A judge that counts errors: its replies are read by one form, and a judge that knows agrees where one that does not
does not."""

from __future__ import annotations

import json
from random import Random

from cityscribe.evaluate.error_counts import JUDGE, ErrorCounts, count_errors, read_errors
from cityscribe.evaluate.judge import load_rubrics
from cityscribe.evaluate.probes.errors import inject
from cityscribe.evaluate.verdict import JudgeItem
from cityscribe.llm.client import Client
from cityscribe.llm.message import Reply
from cityscribe.traffic.metrics.error_agreement import agreement_with_attributes, attribute_errors

REFERENCE = (
    "The pedestrian is a male in his 30s. He wears a red T-shirt and black trousers. The weather is clear and the "
    "road is dry. The pedestrian is walking."
)


class Judging:
    """A language model that is told the number of errors of each answer."""

    place, batch_size, calls_at_once = "a planted judge", 8, 1

    def __init__(self, errors: dict[str, int]) -> None:
        self.errors, self.identity = errors, {"kind": "planted"}

    def answer(self, chats, sampling):
        said = [chat[-1]["content"].partition("To be checked: ")[2].partition("\n")[0] for chat in chats]
        found = [[{"kind": "attribute", "severity": "minor"}] * self.errors.get(text, 0) for text in said]
        return [Reply(json.dumps({"errors": each})) for each in found]


def items() -> list[JudgeItem]:
    texts = [REFERENCE]
    for number in range(3):
        wrong = inject(texts[-1], ("colour", "remove", "remove")[number], Random(number))
        assert wrong is not None
        texts.append(wrong)
    return [JudgeItem("Describe.", REFERENCE, text) for text in texts]


def test_a_judge_that_counts_agrees_with_the_attributes_and_one_that_praises_all_does_not() -> None:
    asked = items()
    truth = [attribute_errors(item) for item in asked]
    assert truth[0] == 0
    assert truth == sorted(truth)
    assert truth[-1] > 1
    rubric = load_rubrics(None, JUDGE)["errors"]
    knowing = Judging({item.answer: number for item, number in zip(asked, truth, strict=True)})
    found = agreement_with_attributes(asked, count_errors(asked, Client(knowing), rubric))
    assert (found.both_read, found.kappa) == (4, 1)
    assert found.spearman is not None
    assert found.spearman > 0.999
    praised = agreement_with_attributes(asked, count_errors(asked, Client(Judging({})), rubric))
    assert (praised.agreement, praised.kappa, praised.spearman) == (1 / 4, 0, None)


def test_replies_are_read_by_one_form() -> None:
    reply = 'Here: {"errors": [{"kind": "motion", "severity": "major"}, {"kind": "motion", "severity": "minor"}]}'
    counts = read_errors(reply)
    assert counts == ErrorCounts({("motion", "major"): 1, ("motion", "minor"): 1})
    assert (counts.number(), counts.number("motion", "major"), counts.number("object")) == (2, 1, 0)
    rubric = load_rubrics(None, JUDGE)["errors"]
    verdict = JUDGE.read(reply, rubric)
    assert (verdict.correct, verdict.score) == (False, 2)
    for torn in ("", "none", '{"errors": 3}', '{"errors": [{"kind": "taste", "severity": "major"}]}', "{" * 5000):
        assert read_errors(torn) is None
        assert JUDGE.read(torn, rubric).score is None
