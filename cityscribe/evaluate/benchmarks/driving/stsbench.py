"""STSBench: what the ego vehicle or another road user does in a scene of nuScenes, one of five options.

    *.json     [{"scenario", "negative_scenarios" (with commas between), "sensors": {"CAM_FRONT": [key frames]},
               "ego": {...}, "agent": {...}, "other_agent": {...}}]         as `vqa_extractor/hf.py` writes it
    samples/   of nuScenes

By `eval/eval.py` of LRP-IVC/STSBench: the first letter of an answer is the letter of the right option, capitals or not.
`accuracy` is the mean over four groups (ego, ego and agent, agent, two agents) of the mean over their scenarios of the
share that is right. An empty answer, on which the official script fails, is wrong.

The options are not part of the data: the official program draws four negative scenarios, the earlier the likelier, and
shuffles them, without a seed. Here both are drawn by the place of the question, so that each run asks the same; numbers
of two draws differ by chance. The id of a question is its place. The ego vehicle is asked about with the six cameras of
the last key frame; of an agent its box in the camera that sees it is told in pixels.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from cityscribe.evaluate.benchmarks.driving.nuscenes_qa import CAMERAS
from cityscribe.evaluate.benchmarks.layout import find_one, read_as
from cityscribe.evaluate.benchmarks.question import (
    Benchmark,
    BenchmarkQuestion,
    Measures,
    Row,
    RuleScores,
    percent,
)
from cityscribe.letters import LETTERS

NEGATIVES = 4

GROUPS = ("ego", "ego_agent", "agent", "agent_agent")


class _Camera(BaseModel):
    bb2d: list[list[float]]  # x1, y1, x2, y2 of each key frame
    cam: list[str]


class _Agent(BaseModel):
    camera: _Camera


class _Scenario(BaseModel):
    scenario: str
    negative_scenarios: str
    sensors: dict[str, list[str]]
    ego: dict[str, object] | None = None
    agent: _Agent | None = None
    other_agent: _Agent | None = None


def read_stsbench(data: Path, split: str) -> list[BenchmarkQuestion]:
    """All questions, in their order. STSBench has no splits."""
    path = find_one(data, "STSnu*.json", "*.json")
    questions = []
    for number, entry in enumerate(read_as(path, list[_Scenario])):
        options = _options(entry, number)
        agents = [agent for agent in (entry.agent, entry.other_agent) if agent is not None]
        group = (
            ("ego_agent" if agents else "ego") if entry.ego is not None else ("agent", "agent_agent")[len(agents) > 1]
        )
        images = tuple(entry.sensors[camera][-1] for camera in CAMERAS if entry.sensors.get(camera))
        questions.append(
            BenchmarkQuestion(
                id=str(number),
                text=_asked(entry.ego is not None, agents),
                truth=(LETTERS[options.index(entry.scenario)].upper(),),
                options=tuple(options),
                images=images,
                facts={"group": group, "scenario": entry.scenario},
            )
        )
    return questions


def _options(entry: _Scenario, number: int) -> list[str]:
    rng = random.Random(number)
    left = [name.strip() for name in entry.negative_scenarios.split(",") if name.strip()]
    drawn: list[str] = []
    while left and len(drawn) < NEGATIVES:
        # The earlier the likelier, as the official program weighs them.
        drawn.append(left.pop(rng.choices(range(len(left)), weights=range(len(left), 0, -1))[0]))
    options = [entry.scenario, *drawn]
    rng.shuffle(options)
    return options


def _asked(ego: bool, agents: Sequence[_Agent]) -> str:
    shown = "The images are of the six cameras of a car: " + ", ".join(CAMERAS) + "."
    places = []
    for agent in agents:
        x1, y1, x2, y2 = (round(value) for value in agent.camera.bb2d[-1])
        places.append(f"the road user in {agent.camera.cam[-1]} between ({x1}, {y1}) and ({x2}, {y2})")
    who = " and ".join((["the car itself"] if ego else []) + places)
    return f"{shown} What is being done by {who}?"


def score_stsbench(questions: Sequence[BenchmarkQuestion], answers: Mapping[str, str]) -> RuleScores:
    """Shares in percent; a group that no question is of is left out of the mean."""
    rows: list[Row] = []
    by: dict[str, dict[str, list[float]]] = {}
    for question in questions:
        answer, truth = answers[question.id], question.truth[0]
        right = float(answer[:1].lower() == truth.lower())
        by.setdefault(question.facts["group"], {}).setdefault(question.facts["scenario"], []).append(right)
        rows.append({"id": question.id, "answer": answer, "parsed": answer[:1].upper(), "score": right})
    groups = {
        group: percent([percent(values) / 100 for values in by[group].values()]) for group in GROUPS if group in by
    }
    total: Measures = {
        "accuracy": percent([value / 100 for value in groups.values()]),
        "accuracy by group": groups,
        "accuracy of questions": percent([row["score"] for row in rows]),
    }
    return RuleScores(total, rows)


STSBENCH = Benchmark(
    read_stsbench,
    score_stsbench,
    prompt="choice",
    split="",
    rule="LRP-IVC/STSBench eval/eval.py",
    licence="MIT (code); images: nuScenes, non-commercial",
    home="github.com/LRP-IVC/STSBench, nuscenes.org",
)
