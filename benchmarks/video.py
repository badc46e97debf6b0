"""How fast questions about a clip train and are answered where they share it, against row by row and TRL.

    pip install trl==1.16.0
    python -m benchmarks.video                       # a small Qwen2.5-VL on a CPU
    python -m benchmarks.video --what predict        # the peer is `generate`

Twelve questions a clip of 32 frames, native video: the same model (vision tower frozen) and the same samples, one clip
an update, in processes of their own that take turns. Times are those of the processor, not of the clock, so that what
else a machine does counts little; the fastest update counts. `tree` and `rows` are this package with and without
sharing; `trl` is TRL's `SFTTrainer`, which takes videos by a collator of one's own, as its example for videos has one:
here it is given the frames, so that it decodes nothing, and an update accumulates the twelve rows. None of the trainers
that we know shares a video between rows. The bound is what row-by-row training would reach if each distinct token were
computed once. For `predict` the peer is `generate` of transformers, one question after the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.in_turns import WAYS, peak_bytes, take_turns, update_seconds, use_threads, where_it_ran
from benchmarks.tree_training import tokens_of, train_here
from benchmarks.trl_peer import loss_watch, peer_settings
from cityscribe.media.video import write_video
from cityscribe.models.tokenizer import CHAT_TEMPLATE, IMAGE, train_tokenizer
from cityscribe.models.without_torchvision import VideoSettings, without_torchvision
from cityscribe.records import Sample, SampleMeta, Video, message, placed, text_block, video_block

FRAMES = 32
QUESTIONS = 12
ROWS = 2
"""That TRL computes at a time."""
ASKED = (
    "What does the pedestrian do?",
    "What does the car do?",
    "Is the road dry or wet?",
    "Who has the right of way?",
    "How fast is the car?",
    "What is the light like?",
    "Where do they meet?",
    "Does anybody brake?",
    "Is there a crossing?",
    "What happens at the end?",
    "Who looks at whom?",
    "Is it dangerous?",
)
ANSWER = "The car slows down before the crossing, and the pedestrian walks on to the other side without looking."


def make_samples(folder: Path, clips: int, side: int) -> list[Sample]:
    """Twelve questions about each clip of noise: what it shows changes no speed."""
    samples = []
    for clip in range(clips):
        noise = np.random.default_rng(clip)
        frames = (noise.integers(0, 255, (side, side, 3), dtype=np.uint8) for _ in range(FRAMES))
        write_video(folder / f"{clip}.mp4", frames, 4)
        block = video_block(Video(f"{clip}.mp4", frames=FRAMES))
        for question in ASKED[:QUESTIONS]:
            said = (message("user", block, text_block(question)), message("assistant", text_block(ANSWER)))
            samples.append(Sample(said, (), str(clip), SampleMeta(scenario=str(clip))))
    return samples


def make_model(side: int) -> tuple[Any, Any]:
    """Random weights, equal in every process; the vision tower is frozen."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    names = ("vision_start", "vision_end", "image", "video")
    marks = dict(zip(names, ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"), strict=True))
    tokenizer = train_tokenizer([*ASKED, ANSWER], 512, {f"{name}_token": mark for name, mark in marks.items()})
    ids = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 4,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_heads": 4,
            "out_hidden_size": 384,
            "spatial_merge_size": 2,
            "patch_size": 14,
            "fullatt_block_indexes": [3],
        },
        text_config={
            "vocab_size": len(tokenizer),
            "num_hidden_layers": 9,
            "hidden_size": 384,
            "intermediate_size": 1024,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "max_position_embeddings": 8192,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
        },
        **ids,
    )
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.model.visual.requires_grad_(False)
    size = {"shortest_edge": 56 * 56, "longest_edge": side * side}
    image = "{%- if block['type'] == 'image' -%}"
    video = "{%- if block['type'] == 'video' -%}{%- set text.value = text.value + '<video>' -%}"
    template = CHAT_TEMPLATE.replace(image, video + image.replace("if", "elif", 1))
    for kind, mark in (("image", IMAGE), ("video", "<video>")):
        pad = marks["vision_start"] + marks[kind] + marks["vision_end"]
        template = template.replace(f"'{mark}'", f"'{pad}'")
    processor = without_torchvision(Qwen2_5_VLProcessor)(
        image_processor=Qwen2VLImageProcessorPil(size=size),
        tokenizer=tokenizer,
        video_processor=VideoSettings({"video_processor_type": "Qwen2VLVideoProcessor", "size": size}),
        chat_template=template,
    )
    return model, processor


def train_trl(samples: list[Sample], folder: Path, model: Any, processor: Any) -> list[tuple[float, float]]:
    """The processor's clock and the loss after each update of TRL, which computes `ROWS` questions at a time."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from cityscribe.tokens.encode import Encoder
    from cityscribe.tokens.shown import read_media

    encoder, clips = Encoder(model, processor), {}
    for sample in samples:
        clips.setdefault(sample.group, read_media(sample.group, sample.messages, (), folder))

    def collate(rows: list[dict[str, int]]) -> dict[str, Any]:
        taken = [samples[row["number"]] for row in rows]
        encoded = [encoder.teach(each.group, each.messages, clips[each.group]) for each in taken]
        longest = max(len(each.input_ids) for each in encoded)

        def padded(values: list[np.ndarray], fill: int) -> torch.Tensor:
            rows = [np.pad(each, (0, longest - len(each)), constant_values=fill) for each in values]
            return torch.from_numpy(np.stack(rows))

        media = [each.media_inputs for each in encoded]
        return {
            "input_ids": padded([each.input_ids for each in encoded], processor.tokenizer.pad_token_id),
            "attention_mask": padded([np.ones_like(each.input_ids) for each in encoded], 0),
            "labels": padded([np.where(each.trained, each.input_ids, -100) for each in encoded], -100),
            **{name: padded([each.token_inputs[name] for each in encoded], 0) for name in encoded[0].token_inputs},
            **{name: torch.cat([each[name] for each in media]) for name in media[0]},
        }

    seen: list[tuple[float, float]] = []
    settings = SFTConfig(
        **peer_settings(folder, ROWS, QUESTIONS // ROWS, len(samples) // QUESTIONS),
        learning_rate=1e-5,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        bf16=False,
        use_cpu=True,
    )
    watch = loss_watch(seen, time.process_time)
    data = Dataset.from_list([{"number": number} for number in range(len(samples))])
    trainer = SFTTrainer(
        model, settings, train_dataset=data, data_collator=collate, processing_class=processor, callbacks=[watch]
    )
    trainer.train()
    return seen


def answer_here(samples: list[Sample], folder: Path, model: Any, processor: Any, share: bool) -> Iterator[float]:
    """The clock after the answers about each clip; without sharing they are those of `generate`, one by one."""
    from cityscribe.engine.local import LocalEngine
    from cityscribe.engine.request import Request

    engine = LocalEngine(model, processor, batch_size=QUESTIONS)
    if not share:
        engine._shares = False
    for start in range(0, len(samples), QUESTIONS):
        asked = [tuple(placed(sample.messages[:1], folder)) for sample in samples[start : start + QUESTIONS]]
        engine.answer([Request(messages, max_tokens=24) for messages in asked])
        engine.forget()
        yield time.process_time()


def measure(way: str, folder: Path, clips: int, what: str, side: int) -> dict[str, Any]:
    samples = make_samples(folder, clips, side)
    model, processor = make_model(side)
    before = peak_bytes("cpu")
    share = way == "tree"
    loss = 0.0
    if way == "trl":
        updates = train_trl(samples, folder, model, processor)
        clock, loss = [moment for moment, _ in updates], updates[0][1]
    elif what == "train":
        updates = train_here(samples, folder, model, processor, "fp32", share, time.process_time, max_tokens=4096)
        clock, loss = [moment for moment, _ in updates], updates[0][1]
    else:
        clock = list(answer_here(samples, folder, model, processor, share))
    return {
        "seconds": update_seconds(clock),
        "peak_bytes": peak_bytes("cpu") - before,
        "loss": loss,
        **tokens_of(samples[:QUESTIONS], folder, model, processor, max_tokens=4096),
    }


def main(
    clips: Annotated[int, typer.Option(help="clips of each run; the first is not counted")] = 3,
    repeats: Annotated[int, typer.Option(help="runs of each way, in turn")] = 1,
    threads: Annotated[int, typer.Option(help="0 takes one a core")] = 0,
    what: Annotated[str, typer.Option(help="train or predict")] = "train",
    side: Annotated[int, typer.Option(help="pixels of a side of a frame: 224 makes 1,024 tokens of a clip")] = 224,
    ways: Annotated[str, typer.Option(help="what to compare; trl for training alone")] = ",".join(WAYS),
    way: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Compare twelve questions about a clip of 32 frames on a tree and row by row."""
    threads = use_threads(threads)
    if way:
        (folder / "result.json").write_text(json.dumps(measure(way, folder, clips, what, side)))
        return
    options = {"clips": clips, "threads": threads, "what": what, "side": side}
    chosen = [name for name in ways.split(",") if what == "train" or name != "trl"]
    results = take_turns("benchmarks.video", chosen, repeats, options)
    tree = results["tree"]
    ratio = tree["effective"] / tree["distinct"]
    print(where_it_ran("cpu", "fp32", chosen))
    print(
        f"{what}: {QUESTIONS} questions a clip of {FRAMES} frames ({tree['visual']:,} tokens): {tree['effective']:,} "
        f"tokens, {tree['distinct']:,} distinct ({ratio:.2f} times)"
    )
    for name, result in results.items():
        best, median = result["seconds"][0], result["seconds"][len(result["seconds"]) // 2]
        print(
            f"{name:5} {QUESTIONS / best:7.3f} questions a second of a processor (median {QUESTIONS / median:.3f}), "
            f"peak {result['peak_bytes'] / 2**30:.2f} GiB above the model"
            + (f", first loss {result['loss']:.5f}" if what == "train" else "")
        )
    for name in chosen:
        if name != "tree":
            faster = results[name]["seconds"][0] / tree["seconds"][0]
            print(f"tree against {name}: {faster:.2f} times, {faster / ratio:.0%} of the bound")


if __name__ == "__main__":
    typer.run(main)
