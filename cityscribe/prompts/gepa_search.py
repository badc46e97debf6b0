"""GEPA (Agrawal et al. 2025) by its own package: a language model reads prompts, answers and references, and rewrites a
text; candidates that are best for some sample live on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cityscribe.files import InputError
from cityscribe.llm import Client, ReplySampling
from cityscribe.llm.message import Message
from cityscribe.prompts.fitness import Fitness, usable

MAX_TOKENS = 300


def gepa_search(fitness: Fitness, *, seed: int = 0, client: Client | None = None, options: object = None) -> None:
    """Try until so many samples were scored as all tries have. Raises InputError without a language model."""
    if client is None:
        raise InputError("gepa: needs a language model that reflects on answers; name one")
    import gepa

    model = client

    def reflect(prompt: Any) -> str:
        text = prompt if isinstance(prompt, str) else "\n\n".join(str(each["content"]) for each in prompt)
        chat: list[Message] = [{"role": "user", "content": text}]
        sampling = ReplySampling(1.0, MAX_TOKENS, seed + len(fitness.tries))
        return model.ask([chat], sampling, lambda _, reply: reply).values[0] or ""

    numbers = list(range(len(fitness.samples)))
    adapter: Any = _Adapter(fitness)  # its own types name what a trajectory is, which no reader of it here asks
    gepa.optimize(
        seed_candidate=dict(fitness.library.texts()),
        trainset=numbers,
        valset=numbers,
        adapter=adapter,
        reflection_lm=reflect,
        max_metric_calls=fitness.most * len(numbers),
        seed=seed,
        display_progress_bar=False,
        raise_on_exception=True,
        logger=_Quiet(),
    )


class _Quiet:
    def log(self, message: str) -> None:
        """What is tried stands in the trace."""


class _Adapter:
    """The fitness as gepa asks for it."""

    propose_new_texts = None

    def __init__(self, fitness: Fitness) -> None:
        self.fitness = fitness

    def evaluate(self, batch: list[int], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        from gepa import EvaluationBatch

        fitness = self.fitness
        old = fitness.library.texts()
        texts = {place: text if usable(text, old[place]) else old[place] for place, text in candidate.items()}
        if len(batch) == len(fitness.samples) and all(texts != tried.texts for tried in fitness.tries):
            fitness.attempt(texts, "reflection", fitness.best)
        scores, _ = fitness.scores(texts, batch)
        outputs = fitness.answers(texts, batch)
        return EvaluationBatch(outputs=outputs, scores=scores, trajectories=outputs if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        rows = [
            {"Inputs": prompt, "Generated Outputs": answer, "Feedback": f"worth {score:g} of 1; right is: {reference}"}
            for (prompt, answer, reference), score in zip(eval_batch.trajectories, eval_batch.scores, strict=True)
        ]
        return dict.fromkeys(components_to_update, rows)
