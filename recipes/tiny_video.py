"""Make `cityscribe-tiny-video`: a small LLaMA-VID on the tower of cityscribe-tiny, taught by clips of the city.

    python -m recipes.tiny_video                      # all of it, in runs/tiny-video; a stopped one goes on
    python -m recipes.tiny_video parts runs/tiny-video    # what the arms of the ablations begin with

Clips of surveillance cameras and of wildlife, eight seconds each, are drawn and described. Stage 1: the connector
learns to say what a clip shows, the rest stays. Stage 2: all but the tower answers questions about clips. Tower and
decoder are those of cityscribe-tiny, which has seen streets and no animal; text decoder and projections are new. The
clips of the test split are asked about; nothing of them is learnt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cityscribe.cli.shell import watch
from cityscribe.evaluate.text_files import json_lines
from cityscribe.files import write_text
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.vlm.build import VlmFile, build
from cityscribe.models.vlm.compose import VlmParts, compose
from cityscribe.pipeline import run
from cityscribe.project import resolve
from cityscribe.world.clips import ClipSettings
from cityscribe.world.surveillance import write_clips
from cityscribe.world.wildlife import write_wildlife

CLIPS = ClipSettings(seconds=8.0, fps=6, width=320)
WILDLIFE, SURVEILLANCE = replace(CLIPS, train=120, test=40), replace(CLIPS, train=60, test=24)

TEXT_DECODER = {
    "kind": "qformer",
    "queries": 4,
    "config": {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
}
PARTS = {
    "towers": [{"kind": "transformers", "base": "cityscribe-tiny", "layer": -1}],
    "tiling": {"kind": "whole"},
    "connector": {"kind": "llama-vid", "pooling": "mean", "text_decoder": TEXT_DECODER},
    "decoder": {"base": "cityscribe-tiny"},
}

DESCRIBE = "Describe the video."
ANIMAL = {"species": "Which animal is there?", "first": "What does it do first?", "last": "What does it do last?"}
RUNS = "Does it run?"
STREET = {
    "vehicle_colour": "What colour is the vehicle?",
    "vehicle_kind": "What kind of vehicle is it?",
    "upper_colour": "What colour does the person wear?",
    "light": "What is the light like?",
    "weather": "What is the weather like?",
}
ACCIDENT = "Is somebody hit?"


@dataclass(frozen=True, slots=True)
class AskedClip:
    """A clip, what is said of it, and the questions about it with their answers, by what they are about."""

    video: str  # from the folder of all clips on
    split: str
    text: str
    questions: Mapping[str, tuple[str, str]]


def draw(folder: Path) -> None:
    for name, settings, write in (
        ("wildlife", WILDLIFE, write_wildlife),
        ("surveillance", SURVEILLANCE, write_clips),
    ):
        if not (folder / name).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with watch(name) as progress:
                write(folder / name, settings, progress=progress)


def of_wildlife(root: Path) -> Iterator[AskedClip]:
    """From the annotation, lines of CLIP START END##The SPECIES is ACTION."""
    for split in ("train", "test"):
        clips: dict[str, list[str]] = {}
        for line in (root / "annotation" / f"{split}.txt").read_text(encoding="utf-8").splitlines():
            span, sentence = line.split("##")
            clips.setdefault(span.split()[0], []).append(sentence)
        for name, sentences in clips.items():
            _, species, *_ = sentences[0].split()
            actions = [sentence.rstrip(".").split()[-1] for sentence in sentences]
            asked = {
                "species": (ANIMAL["species"], species),
                "first": (ANIMAL["first"], actions[0]),
                "last": (ANIMAL["last"], actions[-1]),
                "runs": (RUNS, "yes" if "running" in actions else "no"),
            }
            yield AskedClip(f"{root.name}/video/{name}.mp4", split, " ".join(sentences), asked)


def of_surveillance(root: Path) -> Iterator[AskedClip]:
    for _, row in json_lines(root / "truth" / "clips.jsonl"):
        facts, hit = row["facts"], row["event"] == "collision"
        text = (
            f"A {facts['vehicle_colour']} {facts['vehicle_kind']} and a person in {facts['upper_colour']}. "
            f"The light is {facts['light']}, the weather is {facts['weather']}. "
            f"{'The person is hit.' if hit else 'Nobody is hit.'}"
        )
        asked = {name: (question, facts[name]) for name, question in STREET.items()}
        yield AskedClip(
            f"{root.name}/{row['video']}", row["split"], text, {**asked, "hit": (ACCIDENT, "yes" if hit else "no")}
        )


def write_conversations(folder: Path) -> None:
    """`captions.jsonl` of the clips to learn from; `questions.jsonl` of all and `wildlife.jsonl` of some, those of the
    test as `val`."""
    animals, streets = list(of_wildlife(folder / "wildlife")), list(of_surveillance(folder / "surveillance"))
    clips = [*animals, *streets]
    captions = [_row(clip, "caption", DESCRIBE, clip.text) for clip in clips if clip.split == "train"]
    questions = [_row(clip, name, *asked) for clip in clips for name, asked in clip.questions.items()]
    wildlife = questions[: sum(len(clip.questions) for clip in animals)]
    for name, rows in (("captions", captions), ("questions", questions), ("wildlife", wildlife)):
        write_text(folder / f"{name}.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))


def _row(clip: AskedClip, about: str, question: str, answer: str) -> dict[str, object]:
    name = Path(clip.video).stem
    content = [{"type": "video", "video": clip.video}, {"type": "text", "text": question}]
    said = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
    split = {"train": "train", "test": "val"}[clip.split]
    meta = {"scenario": name, "split": split, "kind": "short", "dimension": about, "question": f"{name}/{about}"}
    return {"messages": [{"role": "user", "content": content}, said], "group": name, "meta": meta}


def stage(folder: Path, number: int, base: Path, model: Mapping[str, object], train: Mapping[str, object]) -> Path:
    """One stage as a run of its own; returns the folder of its model."""
    settings = resolve(
        {
            "name": f"stage-{number}",
            "runs": str(folder),
            "threads": 1,
            "data": {
                "source": "messages",
                "path": str(folder / "clips"),
                "files": [("captions.jsonl", "questions.jsonl")[number - 1]],
                "video": {"fps": 1, "times": False},
                "val_share": 0.0,
            },
            "model": {"base": str(base), "keep_features": str(folder / "features"), **model},
            "train": {"precision": "fp32", "batch_groups": 4, "save_steps": 200, "warmup": 0.05, **train},
            "predict": {"precision": "fp32", "batch_size": 60, "max_new_tokens": 12},
        }
    )
    wanted = ("prepare", "train") if number == 1 else ("prepare", "train", "predict", "evaluate")
    run(settings, watch, print, wanted)
    return settings.run_dir / "model"


def make(folder: Path) -> Path:
    """The model of both stages; returns its folder."""
    clips = folder / "clips"
    draw(clips)
    write_conversations(clips)
    if not (folder / "untrained").exists():
        save_model(*build(VlmFile.model_validate(PARTS)), folder / "untrained")
    first = stage(folder, 1, folder / "untrained", {"method": "connector"}, {"epochs": 5, "lr": 2e-3})
    return stage(folder, 2, first, {"method": "full", "freeze": ["vision_tower"]}, {"epochs": 8, "lr": 1e-3})


# What the arms of the ablations begin with


VARIANTS: dict[str, dict[str, Any]] = {
    **{f"tokens-{side * side}": {"pooling": f"grid:{side}", "order": "content-first"} for side in (1, 2, 4, 8)},
    "interleaved": {},
    "no-context": {"context": False},
    "pllava": {"kind": "pllava", "shape": [5, 4, 4]},
    "ppllava": {"kind": "ppllava", "shape": [5, 4, 4], "common": 64},
    "ts-llava": {"kind": "ts-llava", "thumbnail": 4, "sampled": 16},
}
"""Other connectors for the model of the first stage. What it learnt fits all but the two projections of PPLLaVA; the
last three make 80 tokens of a video."""


def vary(base: Path, out: Path, kind: str = "llama-vid", order: str = "interleaved", **connector: object) -> None:
    """A model from parts with another connector, which takes the weights that it has a place for."""
    model, processor = load_model(base, dtype=torch.float32), load_processor(base)
    config = model.config
    options = {**config.connector, **connector} if kind == "llama-vid" else {"kind": kind, **connector}
    parts = VlmParts(
        towers=tuple(config.towers),
        decoder=config.get_text_config(),
        tiling=config.tiling if kind == "llama-vid" else {"kind": "frames"},
        connector=options,
        order=order,
    )
    varied, arranged = compose(parts, processor.tokenizer)
    varied.load_state_dict(model.state_dict(), strict=False)
    save_model(varied, arranged, out)


def write_variants(folder: Path) -> None:
    for name, options in VARIANTS.items():
        if not (folder / "parts" / name).exists():
            vary(folder / "stage-1" / "model", folder / "parts" / name, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("model", "parts"), default="model")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/tiny-video"))
    given = parser.parse_args()
    if given.what == "parts":
        write_variants(given.folder)
        return
    print(f"{make(given.folder)}: written")


if __name__ == "__main__":
    main()
