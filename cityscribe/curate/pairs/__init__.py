"""Pairs of a chosen and a rejected answer, made of samples: builders by name.

PAIR_BUILDERS["own-output"]().build(samples, answering, seed=0)    # see `builder.PairBuilder` for what a member is

One file a member, one entry here; nothing of it is loaded before it is asked for.
"""

from __future__ import annotations

from cityscribe.curate.pairs.builder import PairBuilder, check_builder
from cityscribe.registry import Registry

PAIR_BUILDERS: Registry[type[PairBuilder]] = Registry(
    "pair-builder", "where chosen and rejected answers come from (pairs.builder)", check_builder
)
_HOME = "cityscribe.curate.pairs"
PAIR_BUILDERS.add("as-given", f"{_HOME}.given:AsGiven", "the pairs that the data has")
PAIR_BUILDERS.add("file", f"{_HOME}.given:OfFile", "the pairs of another run")
PAIR_BUILDERS.add(
    "own-output",
    f"{_HOME}.own_output:OwnOutput",
    "the reference against what the model says",
    paper="Duan et al. 2024, section 3.3",
)
PAIR_BUILDERS.add(
    "graded", f"{_HOME}.graded:Graded", "the best against the worst of sampled answers", paper="Li et al. 2024"
)
PAIR_BUILDERS.add(
    "image-against-none",
    f"{_HOME}.image_against_none:ImageAgainstNone",
    "what is said with the image, amplified, against what is said without",
    paper="Favero et al. 2024 (M3ID)",
)
PAIR_BUILDERS.add(
    "other-image",
    f"{_HOME}.other_image:OtherImage",
    "an answer with its image against the same answer with another one",
    paper="Wang et al. 2024 (mDPO)",
)
PAIR_BUILDERS.add(
    "several-images",
    f"{_HOME}.several_images:SeveralImages",
    "the reference against what the model says while it looks at another image",
    paper="Liu et al. 2024 (MIA-DPO)",
)
PAIR_BUILDERS.add(
    "smallest-correction",
    f"{_HOME}.statements:SmallestCorrection",
    "what the model says, corrected where it contradicts, against what it says",
    paper="Yang et al. 2025 (OPA-DPO)",
)
PAIR_BUILDERS.add(
    "labelled-stretches",
    f"{_HOME}.stretches:LabelledStretches",
    "what the model says, its sentences marked as right or wrong (for fdpo)",
    paper="Gunjal et al. 2023 (FDPO)",
)
PAIR_BUILDERS.add(
    "injected-errors",
    f"{_HOME}.statements:InjectedErrors",
    "the reference against itself with one side, colour, object or number exchanged",
    paper="as errors are put into reports to be checked",
)
PAIR_BUILDERS.add(
    "broken-rules",
    f"{_HOME}.statements:BrokenRules",
    "the reference against what the model says where that breaks a rule",
    paper="Sun et al. 2024 (Dr-LLaVA)",
)
