"""What a training minimises. One file a member, one entry here; nothing of it is loaded before it is asked for.

OBJECTIVES["dpo"]                                  # its class, which is the section `train.objective` as well
settings.train.objective.loss(scored)              # see `objective.Objective` for what a member is
"""

from __future__ import annotations

from cityscribe.registry import Registry
from cityscribe.train.objectives.objective import Objective, check_objective

OBJECTIVES: Registry[type[Objective]] = Registry("objective", "what a training minimises", check_objective)


def _add(name: str, target: str, summary: str, paper: str = "") -> None:
    place = f"cityscribe.train.objectives.{target}"
    OBJECTIVES.add(name, place, summary, paper=paper)


_add("supervised", "supervised:Supervised", "the likelihood of the answers")
_add("dpo", "dpo:Dpo", "the chosen answer of a pair above the rejected one, against the base", "Rafailov et al. 2023")
_add(
    "distil",
    "distil:Distil",
    "what a teacher gives each token of the answers, beside the answers",
    "Hinton et al. 2015",
)
_add(
    "teacher-preference",
    "teacher_preference:TeacherPreference",
    "the chosen answer of a pair above the rejected one, against a teacher",
    "Shu et al. 2024 (LLaVA-MoD)",
)
_add(
    "length-normalised-dpo",
    "length_normalised_dpo:LengthNormalisedDpo",
    "DPO by the mean of the tokens of each answer",
    "Lambert et al. 2024",
)
_add("dpo-sft", "dpo_sft:DpoSft", "DPO, and the chosen answer stays likely", "Pang et al. 2024, Wang et al. 2024")
_add("ipo", "ipo:Ipo", "the margin of a pair is drawn to a fixed distance", "Azar et al. 2023")
_add(
    "simpo", "simpo:SimPo", "the chosen answer by a margin a token above the rejected one, no base", "Meng et al. 2024"
)
_add("kto", "kto:Kto", "wanted answers up, unwanted ones down, without pairs", "Ethayarajh et al. 2024")
_add("fdpo", "fdpo:Fdpo", "right stretches of an answer up, wrong ones down, without pairs", "Gunjal et al. 2023")
_add(
    "image-preference",
    "image_preference:ImagePreference",
    "the chosen answer also above itself behind another image",
    "Wang et al. 2024 (mDPO)",
)
_add(
    "reward",
    "reward:RewardModel",
    "a head that gives the chosen answer of a pair more",
    "Ouyang et al. 2022",
)
_add("grpo", "grpo:Grpo", "sampled answers by their rewards, against those beside them", "Shao et al. 2024")
_add("rloo", "rloo:Rloo", "sampled answers by their rewards, against the mean of the others", "Ahmadian et al. 2024")
