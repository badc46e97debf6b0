"""The same question in other forms: DARE (arXiv 2409.18023) varies four things, and so does this.

Other words around it, other options beside the right one, another form of the answer, another number of right options
(none of them is, or several are asked for). The fault is what the mean of the forms costs; `worst form` is the lowest
of their accuracies, `right in every form` the share of questions that no form moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from random import Random

from cityscribe.evaluate.probes.probe import (
    ChangedQuestion,
    ProbedAnswers,
    ProbedQuestion,
    ProbeResult,
    accuracy,
    changed_right,
    difference,
    judged,
    plain_right,
    share,
    with_options,
)
from cityscribe.letters import LETTERS

NONE = "None of these."

ASKS = {
    "words: short": "Give one letter.",
    "words: polite": "Please look closely, then tell me which option is right. Reply with its letter only.",
    "words: exam": "Exam question with one right answer. Write down its letter, nothing else.",
}


class Forms:
    """The member `forms`."""

    def variants(self, question: ProbedQuestion, others: Sequence[ProbedQuestion]) -> Sequence[ChangedQuestion]:
        stem, options = question.stem, question.options
        if stem == question.text or len(set(options)) < len(options):
            return ()
        right = options[question.right]
        wrong = [option for option in options if option != right]
        made = [ChangedQuestion(name, options, text=with_options(stem, options, ask)) for name, ask in ASKS.items()]
        draw = Random(f"forms/{question.key}")
        if len(wrong) > 1:
            kept = {right, draw.choice(wrong)}
            two = tuple(option for option in options if option in kept)
            made.append(ChangedQuestion("options: two", two, text=with_options(stem, two)))
        more = (*options, NONE)
        made.append(ChangedQuestion("options: one more", more, text=with_options(stem, more)))
        capital = "\n".join(f"({LETTERS[n].upper()}) {option}" for n, option in enumerate(options))
        made.append(ChangedQuestion("form: capitals", options, text=f"{stem}\n{capital}\nAnswer with one letter."))
        said = f"{stem}\n{'; '.join(options)}?\nAnswer with the words of the right option."
        made.append(ChangedQuestion("form: words", options, text=said))
        without = (*wrong, NONE)
        made.append(ChangedQuestion("number: none is right", without, text=with_options(stem, without), right=NONE))
        several = "Name the letters of all right options; there can be one or more."
        made.append(ChangedQuestion("number: one or more", options, text=with_options(stem, options, several)))
        return made

    def compare(self, asked: Sequence[ProbedAnswers], seed: int) -> ProbeResult:
        plain, right = plain_right(asked), [each.right() for each in asked]
        mean = [fsum(each) / len(each) for each in right]
        lines = [*accuracy(asked, seed), share("mean of the forms", asked, mean, seed)]
        labels = list(dict.fromkeys(variant.label for each in asked for variant in each.variants))
        of_forms = []
        for label in labels:
            part = [each for each in asked if any(variant.label == label for variant in each.variants)]
            of_forms.append(share(label, part, changed_right(part, label), seed))
        worst = min(of_forms, key=lambda line: line.value)
        lines += [*of_forms, share("right in every form", asked, [float(min(each) == 1) for each in right], seed)]
        fault = difference("lost by other forms", asked, plain, mean, seed)
        finding, why = judged(fault, "accuracy that other forms cost")
        why += f"; worst form: {worst.name}, {100 * worst.value:.1f} % right"
        faults = [one - other for one, other in zip(plain, mean, strict=True)]
        examples = [each.question.key for each, bad in zip(asked, faults, strict=True) if bad > 0]
        return ProbeResult(finding, why, (*lines, fault), tuple(examples), fault, tuple(faults))


FORMS = Forms()
