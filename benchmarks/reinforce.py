"""How fast an update of reinforcement (GRPO) is where the answers of a group share prompt and images.

    python -m benchmarks.reinforce                    # a small LLaVA on a CPU, eight answers to a question
    python -m benchmarks.reinforce --device cuda      # random weights of the shape of LLaVA-1.5-7B, LoRA

The same update on the same made-up answers (two images of 576 tokens, answers of 60 tokens, a reference pass for the
distance from the base), once on a tree and once with a row for each answer, in processes of their own that take turns;
the fastest update counts. The bound is the ratio of tokens. What is not timed: the sampling.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.in_turns import CLOCKS, peak_bytes, precision_of, take_turns, use_threads, where_it_ran
from benchmarks.tree_training import make_model, make_samples


def measure(
    way: str, folder: Path, updates: int, device: str, precision: str, answers: int, words: int, clock: str
) -> dict[str, Any]:
    """Seconds of each update after the first, losses, tokens, peak memory."""
    from cityscribe.rewards.reward import asked_of
    from cityscribe.tokens.encode import Encoder
    from cityscribe.tokens.shown import read_media
    from cityscribe.train.ready import get_ready
    from cityscribe.train.reinforce.rollouts import Rollout
    from cityscribe.train.reinforce.update import Updates
    from cityscribe.train.settings import TrainSettings
    from cityscribe.train.tree_attention import tree_backend

    now = CLOCKS[clock]
    samples = make_samples(folder, updates, questions=1)
    model, processor = make_model(samples, device)
    before = peak_bytes(device)
    objective = {"kind": "grpo", "rewards": [{"kind": "length"}], "num_generations": answers, "beta": 0.01}
    settings = TrainSettings(
        objective=objective,
        batch_groups=1,
        share_prefix=way == "tree",
        precision=precision,  # type: ignore[arg-type]
        lr=1e-6,
    )
    ready = get_ready(samples, folder, model, processor, settings, folder / "tokens")
    attention, _ = ready.checked(model, processor)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=settings.lr, fused=True)
    makes = Updates(model, ready, settings.objective, attention, optimizer)  # type: ignore[arg-type]
    encoder, vocabulary = Encoder(model, processor), model.config.text_config.vocab_size
    seconds, losses, tokens = [], [], (0, 0)
    for number, sample in enumerate(samples):
        media = read_media(sample.name, sample.messages, sample.images, folder)
        prompt = encoder.ask(sample.name, asked_of(sample), media)
        random = np.random.default_rng(number)
        drawn = tuple(tuple(random.integers(20, vocabulary, words).tolist()) for _ in range(answers))
        rewards = tuple(random.random(answers).tolist())
        zeros = tuple((0.0,) * words for _ in range(answers))
        parts = tuple({"length": reward} for reward in rewards)
        rollout = Rollout(sample, prompt, ("",) * answers, drawn, zeros, (False,) * answers, parts, rewards)
        began = now()
        with tree_backend(model, attention):
            told = makes.make(number, [[rollout]])
        seconds.append(now() - began)
        losses.append(told.loss)
        tokens = told.distinct, told.effective
    return {
        "seconds": seconds[1:],
        "losses": losses,
        "peak_bytes": peak_bytes(device) - before,
        "distinct": tokens[0],
        "effective": tokens[1],
    }


def main(
    updates: Annotated[int, typer.Option(help="a question each; the first is not counted")] = 4,
    repeats: Annotated[int, typer.Option(help="runs of each way, in turn")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    precision: Annotated[str, typer.Option(help="fp32 or bf16")] = "",
    threads: Annotated[int, typer.Option(help="of a CPU; 0 takes one a core")] = 0,
    answers: Annotated[int, typer.Option(help="to each question")] = 8,
    words: Annotated[int, typer.Option(help="tokens of each answer")] = 60,
    clock: Annotated[str, typer.Option(help="wall, or cpu where others use the machine as well")] = "wall",
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Compare an update of GRPO on a tree with the same, a row for each answer."""
    precision = precision_of(device, precision)
    threads = use_threads(threads)
    if way:
        result = measure(way, folder, updates, device, precision, answers, words, clock)
        (folder / "result.json").write_text(json.dumps(result))
        return
    options = {
        "updates": updates,
        "device": device,
        "precision": precision,
        "threads": threads,
        "answers": answers,
        "words": words,
        "clock": clock,
    }
    results = take_turns("benchmarks.reinforce", ("tree", "rows"), repeats, options)
    tree, rows = results["tree"], results["rows"]
    distinct = tree["distinct"]
    print(f"{where_it_ran(device, precision, results)}, {clock} time")
    print(f"{answers} answers: {tree['effective']:,} tokens, {distinct:,} distinct; best and median update")
    for name, result in results.items():
        best, median = result["seconds"][0], result["seconds"][len(result["seconds"]) // 2]
        print(
            f"{name:5} {best:.2f} s (median {median:.2f}), peak {result['peak_bytes'] / 2**30:.2f} GiB above the model"
        )
    faster, bound = rows["seconds"][0] / tree["seconds"][0], tree["effective"] / distinct
    apart = max(abs(a - b) for a, b in zip(tree["losses"], rows["losses"], strict=True))
    print(f"tree against rows: {faster:.2f} times, {faster / bound:.0%} of the bound; losses {apart:.1e} apart")


if __name__ == "__main__":
    typer.run(main)
