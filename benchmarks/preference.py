"""How fast preference training (DPO) on prefix trees is, against TRL's `DPOTrainer`.

    pip install trl==1.16.0
    python -m benchmarks.preference                       # a small LLaVA on a CPU
    python -m benchmarks.preference --negatives 8         # eight rejected answers to each chosen one
    python -m benchmarks.preference --device cuda         # random weights of the shape of LLaVA-1.5-7B, LoRA

The same model (vision tower frozen), the same pairs (two images of 576 tokens, two answers of 60 tokens), one
question an update (TRL accumulates its pairs one by one), in processes of their own that take turns; the fastest
update counts. Both count from the model before the training: this package computes that once, before the first
update, and its time for a pair is added to that of each update, as if there were one epoch; TRL, which stores nothing
for images, computes it within each update. The bound is what TRL would reach if each distinct token were computed
once.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.in_turns import (
    CLOCKS,
    WAYS,
    Clock,
    peak_bytes,
    precision_of,
    take_turns,
    update_seconds,
    use_threads,
    where_it_ran,
)
from benchmarks.tree_training import image_column, make_model, make_samples, plain_entry
from benchmarks.trl_peer import loss_watch, peer_settings
from cityscribe.records import Preference, Sample, message, text_block, text_of

BETA = 0.1
LR = 2e-5  # enough that the loss leaves log 2 within a few updates, not so much that rounding shows


def make_pairs(folder: Path, scenes: int, words: int, negatives: int) -> list[Sample]:
    """So many pairs a scene: the first words of its caption of the pedestrian, and words of that of the vehicle."""
    samples = []
    captions = make_samples(folder, scenes)
    for scene in range(scenes):
        chosen, other = captions[10 * scene : 10 * scene + 2]
        for number in range(negatives):
            rejected = " ".join((2 * text_of(other.messages[-1]).split())[number : number + words])
            right = " ".join(text_of(chosen.messages[-1]).split()[:words])
            for wanted, said in ((True, right), (False, rejected)):
                messages = (*chosen.messages[:-1], message("assistant", text_block(said)))
                preference = Preference(f"{scene}/{number}", wanted)
                samples.append(replace(chosen, messages=messages, preference=preference))
    return samples


def train_here(
    samples: list[Sample], folder: Path, model: Any, processor: Any, precision: str, share: bool, now: Clock
) -> tuple[list[float], list[float], list[float]]:
    """The clock after each update, its loss, and the seconds of the reference of a pair."""
    from cityscribe.train.settings import TrainSettings
    from cityscribe.train.supervised import train

    settings = TrainSettings(
        objective={"kind": "dpo", "beta": BETA},
        batch_groups=1,
        share_prefix=share,
        precision=precision,  # type: ignore[arg-type]
        schedule="constant",
        warmup=0.0,
        save_steps=10_000,
        lr=LR,
    )
    clock: list[float] = []
    losses: list[float] = []
    ticks: list[float] = []

    def note(step: int, steps: int, loss: float, *speeds: float) -> None:
        clock.append(now())
        losses.append(loss)

    train(
        samples,
        folder,
        model,
        processor,
        settings,
        folder / "training",
        progress=note,
        on_group=lambda done, groups: ticks.append(now()),
    )
    # All groups are tokenised first, then each has its reference computed.
    reference = [after - now for now, after in pairwise(ticks[len(ticks) // 2 :])]
    return clock, losses, reference


def train_trl(
    samples: list[Sample], folder: Path, model: Any, processor: Any, precision: str, negatives: int, now: Clock
) -> tuple[list[float], list[float], list[float]]:
    """The same pairs in TRL's form, in the same order."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = [
        {
            "images": [{"path": str(folder / name)} for name in chosen.images],
            "prompt": [plain_entry(entry) for entry in chosen.messages[:-1]],
            "chosen": [plain_entry(chosen.messages[-1])],
            "rejected": [plain_entry(rejected.messages[-1])],
        }
        for chosen, rejected in zip(samples[::2], samples[1::2], strict=True)
    ]
    seen: list[tuple[float, float]] = []
    settings = DPOConfig(
        **peer_settings(folder, 1, negatives, len(rows) // negatives),
        beta=BETA,
        learning_rate=LR,
        bf16=precision == "bf16",
        use_cpu=model.device.type == "cpu",
    )
    reference = None if model.device.type == "cuda" else copy.deepcopy(model)
    trainer = DPOTrainer(
        model,
        reference,
        settings,
        train_dataset=Dataset.from_list(rows).cast_column("images", image_column()),
        processing_class=processor,
        callbacks=[loss_watch(seen, now)],
    )
    trainer.train()
    return [clock for clock, _ in seen], [loss for _, loss in seen], []


def measure(
    way: str, folder: Path, scenes: int, device: str, precision: str, words: int, negatives: int, now: Clock
) -> dict[str, Any]:
    """Train in one way in this process: seconds of each update after the first, losses, tokens, peak memory."""
    from cityscribe.tokens.encode import Encoder
    from cityscribe.train.groups import plan_groups
    from cityscribe.train.sampler import GroupSampler
    from cityscribe.train.settings import TrainSettings

    samples = make_pairs(folder, scenes, words, negatives)
    size = 2 * negatives  # samples of a scene
    model, processor = make_model(samples, device)
    before = peak_bytes(device)
    if way == "trl":
        order = [number for batch in GroupSampler([1] * scenes, 1, 0).batches() for number in batch]
        shuffled = [sample for number in order for sample in samples[size * number : size * (number + 1)]]
        clock, losses, reference = train_trl(shuffled, folder, model, processor, precision, negatives, now)
    else:
        clock, losses, reference = train_here(samples, folder, model, processor, precision, way == "tree", now)
    peak = peak_bytes(device) - before
    settings = TrainSettings(objective={"kind": "dpo"})
    units = settings.objective.arrange(samples[:size]).units
    (group, *_), _ = plan_groups(samples[:size], folder, Encoder(model, processor), settings, units=units)
    (forest,) = group.forests
    return {
        "seconds": update_seconds(clock),
        "reference": reference or [0.0],
        "losses": losses,
        "peak_bytes": peak,
        "distinct": forest.length,
        "effective": forest.effective,
        "answers": len(forest.edge_token),
    }


def main(
    scenes: Annotated[int, typer.Option(help="pairs, one an update; the first is not counted")] = 5,
    repeats: Annotated[int, typer.Option(help="runs of each way, in turn")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    precision: Annotated[str, typer.Option(help="fp32 or bf16")] = "",
    threads: Annotated[int, typer.Option(help="of a CPU; 0 takes one a core")] = 0,
    words: Annotated[int, typer.Option(help="of each answer")] = 50,
    negatives: Annotated[int, typer.Option(help="rejected answers to each chosen one, a pair each")] = 1,
    clock: Annotated[str, typer.Option(help="wall, or cpu where others use the machine as well")] = "wall",
    ways: Annotated[str, typer.Option(help="what to compare")] = ",".join(WAYS),
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Compare preference training on trees, row by row, and by TRL."""
    precision = precision_of(device, precision)
    threads = use_threads(threads)
    if way:
        (folder / "result.json").write_text(
            json.dumps(measure(way, folder, scenes, device, precision, words, negatives, CLOCKS[clock]))
        )
        return
    options = {
        "scenes": scenes,
        "device": device,
        "precision": precision,
        "threads": threads,
        "words": words,
        "negatives": negatives,
        "clock": clock,
    }
    results = take_turns("benchmarks.preference", ways.split(","), repeats, options, ("seconds", "reference"))
    _print(results, device, precision, clock, negatives)


def _print(results: dict[str, dict[str, Any]], device: str, precision: str, clock: str, negatives: int) -> None:
    first = next(iter(results.values()))
    ratio = first["effective"] / first["distinct"]
    print(f"{where_it_ran(device, precision, results)}, {clock} time")
    print(
        f"a question with {negatives + 1} answers: {first['effective']:,} tokens, "
        f"{first['distinct']:,} distinct ({ratio:.2f} times), "
        f"{first['answers']} of its answers; best and median update"
    )
    speeds = {}
    for name, result in results.items():
        reference = result["reference"][0]
        speeds[name] = negatives / (result["seconds"][0] + reference)
        median = negatives / (result["seconds"][len(result["seconds"]) // 2] + reference)
        losses = " ".join(f"{loss:.5f}" for loss in result["losses"])
        print(
            f"{name:5} {speeds[name]:7.4f} pairs/s (median {median:.4f}; {reference:.2f} s of each question for the "
            f"reference), peak {result['peak_bytes'] / 2**30:.2f} GiB above the model, losses {losses}"
        )
    for peer in ("rows", "trl"):
        if peer in speeds and "tree" in speeds:
            faster = speeds["tree"] / speeds[peer]
            apart = max(abs(a - b) for a, b in zip(results["tree"]["losses"], results[peer]["losses"], strict=True))
            print(
                f"tree against {peer}: {faster:.2f} times, {faster / ratio:.0%} of the bound; losses {apart:.1e} apart"
            )


if __name__ == "__main__":
    typer.run(main)
