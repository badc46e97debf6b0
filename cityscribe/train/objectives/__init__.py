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
