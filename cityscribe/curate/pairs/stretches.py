"""What the model says, each stretch of it marked as right or wrong, for fine-grained DPO (Gunjal et al. 2023, FDPO).

There people mark the stretches; here the attribute reader does, sentence by sentence. One that states nothing which the
reference states is neither. Each stretch is a sample that ends with it (`train.objective: {kind: fdpo}`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from cityscribe.curate.pairs.builder import Answering, NoPair, Pair
from cityscribe.curate.pairs.own_output import OfOwnOutput
from cityscribe.records import Preference, Sample
from cityscribe.rewards.reward import answered, reference_answer
from cityscribe.traffic.metrics.attributes import UNCLEAR, agrees, read_attributes, statements, tidy
from cityscribe.traffic.sentences import split_sentences


class LabelledStretches(OfOwnOutput):
    kind: Literal["labelled-stretches"] = "labelled-stretches"

    def build(self, samples: Sequence[Sample], answering: Answering, seed: int) -> Iterator[Pair | NoPair]:
        for found in self.with_own(samples, answering):
            if isinstance(found, NoPair):
                yield found
                continue
            sample, own = found
            said, name = tidy(own), f"{self.kind}:{sample.group}/{sample.name}"
            stretches = labelled_stretches(said, reference_answer(sample))
            if stretches:
                marked = tuple(answered(sample, said[:end], Preference(name, right)) for end, right in stretches)
                labels = tuple("neither" if right is None else "right" if right else "wrong" for _, right in stretches)
                yield Pair(marked, "own output", "own output", labels)
            else:
                yield NoPair(sample.name, "the model says nothing that the reference states")


def labelled_stretches(said: str, reference: str) -> list[tuple[int, bool | None]]:
    """The ends of the stretches of a tidy text, and whether each is right, wrong (it contradicts the reference) or
    neither. Neighbours of one label are one stretch; none follows the last one with a label."""
    stated = {name: value for name, value in read_attributes(reference).items() if value != UNCLEAR}
    found: list[tuple[int, bool | None]] = []
    start = 0
    for sentence in split_sentences(said):
        start = said.index(sentence, start)
        end = start + len(sentence)
        verdicts = [
            agrees(each.attribute, stated[each.attribute], each.value)
            for each in statements(said)
            if each.attribute in stated and start <= each.start < end
        ]
        label = all(verdicts) if verdicts else None
        if found and found[-1][1] == label:
            found.pop()
        found.append((end, label))
        start = end
    while found and found[-1][1] is None:
        found.pop()
    return found
