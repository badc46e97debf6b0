"""What an answer is worth: rewards by name, for the choice among sampled answers, for pairs, and for reinforcement.

REWARDS["length"](most=80).score(sample, ["...", "..."])     # see `reward.Reward` for what a member is

One file a member, one entry here; nothing of it is loaded before it is asked for. Those that know what a data set is
about live in its room.
"""

from __future__ import annotations

from cityscribe.registry import Registry
from cityscribe.rewards.reward import Reward, check_reward

REWARDS: Registry[type[Reward]] = Registry("reward", "what an answer is worth", check_reward)
REWARDS.add("length", "cityscribe.rewards.length:Length", "as many words as are wanted")
REWARDS.add("format", "cityscribe.rewards.format:Format", "the form of a pattern")
REWARDS.add("choice", "cityscribe.rewards.choice:RightChoice", "the right option of a question with options")
REWARDS.add("overlap", "cityscribe.evaluate.rewards:ReferenceOverlap", "ROUGE-L against the reference")
REWARDS.add("caption-score", "cityscribe.evaluate.rewards:CaptionScore", "the score of the challenge, by the caption")
REWARDS.add(
    "attributes", "cityscribe.traffic.rewards:AttributeTruth", "attributes of the reference: right minus contradicted"
)
REWARDS.add(
    "objects", "cityscribe.traffic.rewards:NamedObjects", "no objects that the reference does not name", paper="CHAIR"
)
REWARDS.add(
    "rules",
    "cityscribe.traffic.rewards:RuleBook",
    "nothing that a rule book excludes",
    paper="Sun et al. 2024 (Dr-LLaVA)",
)
REWARDS.add("turns", "cityscribe.traffic.rewards:Turns", "no attribute otherwise than in the turns before")
REWARDS.add("driving", "cityscribe.world.driving_answers:DrivingTruth", "a driving task answered right, in any words")
REWARDS.add("model", "cityscribe.rewards.model:LearnedReward", "what a reward model gives", paper="Ouyang et al. 2022")
REWARDS.add(
    "model-with-facts",
    "cityscribe.rewards.model:LearnedRewardWithFacts",
    "what a reward model gives that reads the reference as well",
    paper="Sun et al. 2023 (Fact-RLHF)",
)
