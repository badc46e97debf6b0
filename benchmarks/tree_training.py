"""How fast supervised training on prefix trees is, against row-by-row training by TRL's `SFTTrainer`.

    pip install trl==1.16.0
    python -m benchmarks.tree_training                    # a small LLaVA on a CPU
    python -m benchmarks.tree_training --device cuda      # random weights of the shape of LLaVA-1.5-7B
    python -m benchmarks.tree_training --decoder hybrid --ways tree,rows    # layers as those of Qwen3.5, the same shape

The same model (vision tower frozen, two images of 576 tokens) and the same samples (ten questions a scene: two captions
of WTS length and eight short ones; `--questions` takes the first of them), one scene an update, in processes of their
own that take turns; the fastest update counts. `tree` and `rows` are this package with and without sharing. The bound
is what row-by-row training would reach if each distinct token were computed once: its questions a second times all
tokens over distinct tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from PIL import Image

from benchmarks.decoders import DECODERS
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
from benchmarks.llava import SHAPES, VOCABULARY, random_llava
from benchmarks.trl_peer import loss_watch, peer_settings
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.plan.work import work_of
from cityscribe.records import Sample, SampleMeta, image_block, message, text_block
from cityscribe.train.settings import TrainSettings
from cityscribe.world.captions import pedestrian_caption, vehicle_caption
from cityscribe.world.event import sample_event
from cityscribe.world.facts import Facts, facts_at

MOST_TOKENS = 16_384  # of a sequence

SHORT = (
    ("What is the weather?", "weather"),
    ("How bright is it?", "light"),
    ("Is the road surface dry or wet?", "surface"),
    ("What kind of road is it?", "road"),
    ("How heavy is the traffic?", "traffic"),
    ("Where is the pedestrian relative to the vehicle?", "position"),
    ("What does the pedestrian look at?", "gaze"),
    ("What does the vehicle do?", "vehicle_action"),
)


def make_samples(folder: Path, scenes: int, questions: int = 10) -> list[Sample]:
    """Up to ten samples a scene, two captions and short ones, with pictures of noise: what a picture shows changes no
    speed."""
    samples = []
    for scene in range(scenes):
        facts: Facts = facts_at(sample_event(scene), 1.0)
        names = []
        for view in ("local", "global"):
            names.append(f"{scene}_{view}.png")
            pixels = np.random.default_rng([scene, len(names)]).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((336, 336)).save(folder / names[-1])
        asked = [
            ("Describe the pedestrian and the scene in detail.", pedestrian_caption(facts)),
            ("Describe the vehicle and the scene in detail.", vehicle_caption(facts)),
            *((question, f"It is {facts[attribute]}.") for question, attribute in SHORT),
        ]
        for question, answer in asked[:questions]:
            said = [
                message("user", image_block(), image_block(), text_block(question)),
                message("assistant", text_block(answer)),
            ]
            samples.append(Sample(said, tuple(names), str(scene), SampleMeta(scenario=str(scene))))
    return samples


def make_model(
    samples: list[Sample],
    device: str,
    decoder: str = "llama",
    text: Mapping[str, int] | None = None,
    *,
    lora: bool | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    """Random weights, equal in every process; the vision tower is frozen, with LoRA (on a GPU unless said otherwise)
    the decoder but for its adapters as well. `text` and `options` are those of `random_llava`."""
    texts = [block["text"] for sample in samples for entry in sample.messages for block in entry["content"][-1:]]
    tokenizer = train_tokenizer(texts, 2048)
    vocab_size = len(tokenizer) if device == "cpu" else VOCABULARY
    model, processor = random_llava(
        tokenizer, device, vocab_size, decoder, text, max_position_embeddings=MOST_TOKENS, **options
    )
    model.model.vision_tower.requires_grad_(False)
    if device == "cuda" if lora is None else lora:
        from cityscribe.models.settings import ModelSettings
        from cityscribe.models.tuning.prepare import prepare_tuning

        prepare_tuning(model, ModelSettings(method="lora"))
    return model, processor


def train_here(
    samples: list[Sample],
    folder: Path,
    model: Any,
    processor: Any,
    precision: str,
    share: bool,
    now: Clock = time.perf_counter,
    **options: Any,
) -> list[tuple[float, float]]:
    """The clock and the loss after each update; `options` are further settings of the training."""
    from cityscribe.train.supervised import train

    settings = TrainSettings(
        batch_groups=1,
        share_prefix=share,
        precision=precision,  # type: ignore[arg-type]
        save_steps=10_000,
        lr=1e-5,
        **{"budget_tokens": 4096, **options},
    )
    seen: list[tuple[float, float]] = []
    train(
        samples,
        folder,
        model,
        processor,
        settings,
        folder / "training",
        progress=lambda step, steps, loss, *speeds: seen.append((now(), loss)),
    )
    return seen


def train_trl(
    samples: list[Sample], folder: Path, model: Any, processor: Any, precision: str, rows: int, now: Clock
) -> list[tuple[float, float]]:
    """The same samples in TRL's form, `rows` at a time, as many accumulated as make one update a scene."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    scenes = len({sample.group for sample in samples})
    each = len(samples) // scenes
    data = Dataset.from_list(
        [
            {
                "images": [{"path": str(folder / name)} for name in sample.images],
                "prompt": [plain_entry(entry) for entry in sample.messages[:-1]],
                "completion": [plain_entry(entry) for entry in sample.messages[-1:]],
            }
            for sample in samples
        ]
    ).cast_column("images", image_column())
    seen: list[tuple[float, float]] = []
    settings = SFTConfig(
        **peer_settings(folder, rows, each // rows, scenes),
        learning_rate=1e-5,
        completion_only_loss=True,
        bf16=precision == "bf16",
        use_cpu=model.device.type == "cpu",
    )
    watch = loss_watch(seen, now)
    SFTTrainer(model, settings, train_dataset=data, processing_class=processor, callbacks=[watch]).train()
    return seen


def plain_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """Blocks with one set of keys, which a column of a table needs."""
    blocks = [{"type": block["type"], "text": block.get("text")} for block in entry["content"]]
    return {"role": entry["role"], "content": blocks}


def image_column() -> Any:
    from datasets import Image as ImageFeature
    from datasets import List

    return List(ImageFeature())


def measure(
    way: str,
    folder: Path,
    scenes: int,
    device: str,
    precision: str,
    rows: int,
    questions: int,
    decoder: str,
    layers: int,
    now: Clock,
) -> dict[str, Any]:
    """Train in one way in this process; seconds of each update after the first, its loss, tokens, peak memory."""
    samples = make_samples(folder, scenes, questions)
    text = {**SHAPES[device]["text"], "num_hidden_layers": layers} if layers else None
    model, processor = make_model(samples, device, decoder, text)
    before = peak_bytes(device)
    if way == "trl":
        seen = train_trl(samples, folder, model, processor, precision, rows, now)
    else:
        seen = train_here(samples, folder, model, processor, precision, way == "tree", now)
    clock = [moment for moment, _ in seen]
    tokens = tokens_of(samples[: len(samples) // scenes], folder, model, processor)
    return {
        "seconds": update_seconds(clock),
        "loss": sum(loss for _, loss in seen) / len(seen),
        "peak_bytes": peak_bytes(device) - before,
        "questions": len(samples) // scenes,
        **tokens,
        "operations": operations_of(model, tokens),
    }


def tokens_of(
    samples: list[Sample], folder: Path, model: Any, processor: Any, max_tokens: int = 2048, budget_tokens: int = 4096
) -> dict[str, int]:
    """Of one scene: distinct tokens, tokens of the samples one by one, and those of its images or its video; how many
    have a loss, and how many others all distinct ones see together."""
    from cityscribe.tokens.encode import Encoder
    from cityscribe.train.groups import plan_groups

    groups, _ = plan_groups(
        samples,
        folder,
        Encoder(model, processor),
        TrainSettings(max_tokens=max_tokens, budget_tokens=max(max_tokens, 4096)),
    )
    forests = [forest for group in groups for forest in group.forests]
    return {
        "distinct": sum(forest.length for forest in forests),
        "effective": sum(forest.effective for forest in forests),
        "visual": int((forests[0].media_ids >= 0).sum()),
        "trained": sum(len(np.unique(forest.edge_token)) for forest in forests),
        "seen": sum(int(forest.depth.sum()) for forest in forests),
    }


def operations_of(model: Any, tokens: dict[str, int]) -> float:
    """Floating-point operations that an update on the distinct tokens of a scene needs (`cityscribe.plan.work`)."""
    vision = model.config.vision_config
    return work_of(
        model,
        tokens=tokens["distinct"],
        trained_tokens=tokens["trained"],
        patches=2 * (vision.image_size // vision.patch_size) ** 2,
        context=tokens["seen"] / tokens["distinct"],
        checkpointing=False,
    ).total


def matrix_flops(device: str = "cuda", size: int = 8192, times: int = 20) -> float:
    """Floating-point operations a second of a large bfloat16 matrix product: the limit of this run."""
    left = torch.randn(size, size, dtype=torch.bfloat16, device=device)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        left @ left
    wait()
    began = time.perf_counter()
    for _ in range(times):
        left @ left
    wait()
    return 2 * size**3 * times / (time.perf_counter() - began)


def main(
    scenes: Annotated[int, typer.Option(help="updates of each run; the first is not counted")] = 4,
    repeats: Annotated[int, typer.Option(help="runs of each way, in turn")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    precision: Annotated[str, typer.Option(help="fp32 or bf16")] = "",
    threads: Annotated[int, typer.Option(help="of a CPU; 0 takes one a core")] = 0,
    trl_rows: Annotated[int, typer.Option(help="rows that TRL computes at a time: 1, 2, 5 or 10")] = 2,
    questions: Annotated[int, typer.Option(min=2, max=10, help="a scene: two captions, the others short")] = 10,
    ways: Annotated[str, typer.Option(help="what to compare")] = ",".join(WAYS),
    decoder: Annotated[str, typer.Option(help=f"one of {', '.join(DECODERS)}")] = "llama",
    layers: Annotated[int, typer.Option(help="of the decoder; 0 takes those of its shape")] = 0,
    clock: Annotated[str, typer.Option(help="wall, or cpu where others use the machine as well")] = "wall",
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Compare training on trees, row by row, and by TRL."""
    precision = precision_of(device, precision)
    threads = use_threads(threads)
    if way:
        result = measure(way, folder, scenes, device, precision, trl_rows, questions, decoder, layers, CLOCKS[clock])
        (folder / "result.json").write_text(json.dumps(result))
        return
    options = {
        "scenes": scenes,
        "device": device,
        "precision": precision,
        "threads": threads,
        "trl-rows": trl_rows,
        "questions": questions,
        "decoder": decoder,
        "layers": layers,
        "clock": clock,
    }
    results = take_turns("benchmarks.tree_training", ways.split(","), repeats, options)
    _print(results, device, precision, decoder, clock)


def _print(results: dict[str, dict[str, Any]], device: str, precision: str, decoder: str, clock: str) -> None:
    first = next(iter(results.values()))
    ratio = first["effective"] / first["distinct"]
    print(f"{decoder}, {where_it_ran(device, precision, results)}, {clock} time")
    print(
        f"{first['questions']} questions a scene, {first['effective']:,} tokens, {first['distinct']:,} distinct "
        f"({ratio:.2f} times); best and median update"
    )
    for name, result in results.items():
        best = result["seconds"][0]
        median = result["seconds"][len(result["seconds"]) // 2]
        line = (
            f"{name:5} {result['questions'] / best:8.3f} questions/s (median {result['questions'] / median:.3f}), "
            f"{result['distinct'] / best:9.0f} distinct tokens/s, "
            f"peak {result['peak_bytes'] / 2**30:.2f} GiB above the model, mean loss {result['loss']:.5f}"
        )
        print(line)
    if "tree" in results:
        for peer in ("rows", "trl"):
            if peer in results:
                faster = results[peer]["seconds"][0] / results["tree"]["seconds"][0]
                print(f"tree against {peer}: {faster:.2f} times, {faster / ratio:.0%} of the bound")
        if device == "cuda":
            tree = results["tree"]
            flops, limit = tree["operations"] / tree["seconds"][0], matrix_flops()
            share = f"{flops / limit:.0%} of the {limit / 1e12:.0f} of a matrix product"
            print(f"tree: {flops / 1e12:.0f} TFLOP/s for distinct tokens, {share}")


if __name__ == "__main__":
    typer.run(main)
