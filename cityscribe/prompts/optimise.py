"""Search better texts for a prompt library: `cityscribe prompts optimise`.

    found = optimise(library, samples, shown, asking, options)
    write_found(found, Path("better.yaml"))

writes the library with the best texts, and beside it every try: a line each in `better.trace.jsonl`, and a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from cityscribe.files import write_text
from cityscribe.llm import Client
from cityscribe.progress import Progress, silent
from cityscribe.prompts import PROMPT_OPTIMISERS
from cityscribe.prompts.fitness import Ask, Fitness, Try
from cityscribe.prompts.library import PromptLibrary
from cityscribe.prompts.reader import FrameImages, SeenFeatures
from cityscribe.prompts.samples import task_of
from cityscribe.prompts.trace_page import trace_page
from cityscribe.records import Sample
from cityscribe.rewards.reward import Reward


@dataclass(frozen=True, slots=True)
class Optimised:
    """What a search found."""

    library: PromptLibrary
    method: str
    tries: tuple[Try, ...]
    best: Try
    tasks: dict[str, tuple[float, float]]  # of the labelled samples: as it was, and with the best texts
    held_out: tuple[float, float] | None  # the same of samples that no try was made on


def optimise(
    library: PromptLibrary,
    samples: Sequence[Sample],
    shown: Mapping[FrameImages, SeenFeatures],
    ask: Ask,
    reward: Reward,
    *,
    method: str = "search",
    tries: int = 40,
    seed: int = 0,
    client: Client | None = None,
    options: object = None,
    held_out: Sequence[Sample] = (),
    progress: Progress = silent,
) -> Optimised:
    """Search by a member of `PROMPT_OPTIMISERS`. `held_out` are samples that only the library as it was and the best
    one are scored on. Raises InputError as the member does."""
    fitness = Fitness(library, samples, shown, ask, reward, most=tries, progress=progress)
    member: Any = PROMPT_OPTIMISERS[method]
    member(fitness, seed=seed, client=client, options=options)
    first, best = fitness.tries[0], fitness.best
    names = sorted({task_of(sample) for sample in fitness.samples})
    tasks = {name: (fitness.score_of_task(first, name), fitness.score_of_task(best, name)) for name in names}
    unseen = None
    if held_out:
        other = Fitness(library, held_out, shown, ask, reward, most=2)
        unseen = (other.tries[0].score, other.attempt(best.texts, "the best").score)
    return Optimised(library.with_texts(best.texts), method, tuple(fitness.tries), best, tasks, unseen)


def library_text(library: PromptLibrary) -> str:
    """The library as YAML that loads equal."""
    values = library.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10**6)


def write_found(found: Optimised, out: Path) -> tuple[Path, Path]:
    """Write the library, the trace and its page. Returns the last two."""
    trace, page = out.with_name(f"{out.stem}.trace.jsonl"), out.with_name(f"{out.stem}.trace.html")
    first = found.tries[0]
    head = (
        f"# Found by `prompts optimise --method {found.method}`: {100 * first.score:.1f} % before, "
        f"{100 * found.best.score:.1f} % now on {len(first.scores)} labelled samples.\n"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(trace, "".join(json.dumps(asdict(tried), ensure_ascii=False) + "\n" for tried in found.tries))
    write_text(page, trace_page(found.method, found.tries, found.best, found.tasks, found.held_out))
    write_text(out, head + library_text(found.library))
    return trace, page
