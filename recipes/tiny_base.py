"""Train `cityscribe-tiny` from scratch: a small LLaVA that sees the synthetic city and talks about it.

    python -m recipes.tiny_base draw POOL            # pictures, by worker processes; may run beside the training
    python -m recipes.tiny_base start FOLDER POOL    # the tokenizer and random weights
    python -m recipes.tiny_base train FOLDER POOL OUT

`start --shape small` begins `cityscribe-small`, four times as large, by the same recipe.

The data are general pictures (`cityscribe.world.pictures`), each with some fifty questions of which every visit takes
as many as fit. First the vision tower learns alone to name attributes: a tower is cheap to train, slow to learn through
a decoder that cannot talk yet, and spoilt by one. Each attribute is read from an output token of its own, by a table of
words that the finished model does without, so that a decoder finds it by looking at one token. Then the decoder and the
connector learn to answer; the tower stays as it is. All questions of a picture share its image tokens: one row holds
them once, and each question sees the images and itself only. Step s chooses, by its seed, among the shards that are due
by then, so that the order does not depend on how fast the workers are.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

from cityscribe.prepare.drawing import draw_boxes
from cityscribe.prepare.geometry import local_view
from cityscribe.world.pictures import Picture, sample_picture

IMAGE_SIZE, PATCH = 160, 20
IMAGE_TOKENS = (IMAGE_SIZE // PATCH) ** 2
TINY = {
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
    "vision_layers": 5,
    "vision_width": 192,
    "vision_heads": 3,
    "vision_mlp": 768,
    "text_layers": 4,
    "text_width": 256,
    "text_heads": 4,
    "text_kv_heads": 4,
    "text_mlp": 768,
}
SMALL = {
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
    "vision_layers": 7,
    "vision_width": 384,
    "vision_heads": 6,
    "vision_mlp": 1536,
    "text_layers": 6,
    "text_width": 384,
    "text_heads": 6,
    "text_kv_heads": 6,
    "text_mlp": 1152,
}
SHAPES = {"tiny": TINY, "small": SMALL}
"""`tiny` has 6.3 million parameters; `small`, which is to teach it, has 25 and its tokenizer."""
VOCABULARY = 2048
SHIPPED = "cityscribe-tiny"
HELD_OUT = 900_000_000  # seeds from here on are never trained on


SHARD = 500  # pictures in a file of the pool
VIEWS = ("pedestrian", "local", "global")  # the images of a picture, as `prepare.images` names them
CHOSEN = {(0, 1, 2): 0.66, (1, 2): 0.12, (0, 2): 0.06, (0,): 0.05, (1,): 0.05, (2,): 0.05, (2, 1): 0.01}
"""Which images a visit shows, in order, and how often."""
SEEN = (0.4, 0.35, 0.25)
"""How often the tower looks at each of the views."""


@dataclass(frozen=True)
class Recipe:
    shards: int = 64  # of the pool that are used
    lead: int = 6  # shards that are due before the first step
    see_steps: int = 18_000
    see_batch: int = 32
    see_lr: float = 2e-3
    see_every: int = 100  # steps between shards that become due
    talk_steps: int = 11_500
    talk_batch: int = 6
    talk_lr: float = 1e-3
    text_tokens: int = 400  # questions and answers of a picture in one visit
    longest: int = 0  # answers of more tokens are not asked for; 0 asks for all
    echo: int = 8  # words of the trade to repeat in one visit
    warmup: int = 100
    weight_decay: float = 0.05
    grad_norm: float = 1.0
    save_every: int = 250
    eval_pictures: int = 256
    seed: int = 0


# The tokenizer and the random weights


def start(folder: Path, pool: Path, shape: str = "tiny") -> None:
    """Write a checkpoint with random weights. The vocabulary of `tiny` is learnt from questions, answers and a list of
    words; other shapes take that of the shipped model, so that they can teach it."""
    from transformers import AutoTokenizer

    from cityscribe.models.build import build_tiny_llava
    from cityscribe.models.load import resolve_base, save_model

    tokenizer = _learn_tokenizer(pool) if shape == "tiny" else AutoTokenizer.from_pretrained(resolve_base(SHIPPED))
    model, processor = build_tiny_llava(tokenizer, seed=0, **SHAPES[shape])
    open_eyes(model, np.load(pool / "0000.npy"), processor.image_processor)
    save_model(model, processor, folder)
    print(f"{folder}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens")


def _learn_tokenizer(pool: Path) -> Any:
    from cityscribe.models.tokenizer import train_tokenizer

    texts = []
    for shard in range(4):
        for entry in json.loads((pool / f"{shard:04d}.json").read_text()):
            texts += [text for _, *both in entry["questions"] for text in both]
    texts += [" " + word for word in _lexicon() for _ in range(400)]
    return train_tokenizer(texts, VOCABULARY)


@torch.no_grad()
def open_eyes(model: Any, images: np.ndarray, image_processor: Any) -> None:
    """Give the tower a start that sees: principal components of patches instead of random filters, places in waves.

    The patch embedding becomes the whitened leading components of the patches of `images` [n, views, size, size, 3], so
    that colours and edges are there from the first step; the position embeddings become sines and cosines of row and
    column.
    """
    mean, std = np.array(image_processor.image_mean), np.array(image_processor.image_std)
    pixels = (images.reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 3)[:400] / 255.0 - mean) / std
    side = IMAGE_SIZE // PATCH
    patches = pixels.reshape(-1, side, PATCH, side, PATCH, 3).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 3 * PATCH * PATCH)
    values, vectors = np.linalg.eigh(np.cov(patches[::2], rowvar=False))
    embeddings = model.model.vision_tower.embeddings
    width = embeddings.patch_embedding.weight.shape[0]
    leading = vectors[:, ::-1][:, :width] / np.sqrt(values[::-1][:width] + 0.02 * values[-1])
    embeddings.patch_embedding.weight.copy_(torch.from_numpy(leading.T.reshape(width, 3, PATCH, PATCH)))
    frequencies = math.pi * 0.5 ** (np.arange(width // 4) * 6 / (width // 4))
    rows, columns = np.divmod(np.arange(side * side), side)
    waves = [wave(place[:, None] * frequencies) for place in (rows, columns) for wave in (np.sin, np.cos)]
    embeddings.position_embedding.weight[1:] = torch.from_numpy(0.5 * np.concatenate(waves, axis=1)).float()


def _lexicon() -> list[str]:
    """Words of the trade, so that a traffic caption takes one token a word. Words alone: no sentence is shown."""
    package = Path(__file__).parents[1] / "cityscribe"
    files = ("world/words.py", "world/captions.py", "traffic/prompts.yaml")
    text = "\n".join((package / name).read_text() for name in files)
    return sorted(set(re.findall(r"[A-Za-z]{3,}", text)))


# Pictures as arrays


@dataclass(frozen=True)
class Coded:
    """A picture ready for training: uint8 images [views, size, size, 3] and its questions as tokens."""

    images: np.ndarray
    facts: dict[str, str]
    kinds: list[str]
    questions: list[np.ndarray]
    answers: list[np.ndarray]


class Coder:
    """Turns pictures into arrays, with the tokens that the chat template puts around images, questions and answers."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        mark = "<|mark|>"
        template = self.tokenizer.apply_chat_template
        text = template([{"role": "user", "content": mark}, {"role": "assistant", "content": mark}], tokenize=False)
        before, between, after = text.split(mark)
        self.before, self.between, self.after = (self.encode(part) for part in (before, between, after))
        self.image = self.tokenizer.convert_tokens_to_ids("<image>")
        self.words = [self.encode(" " + word) for word in _lexicon()]

    @functools.cache  # noqa: B019  # the texts recur, and there is one coder
    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def echo(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Random words of the trade to repeat, as question and answer: a model that tuning leaves mostly as it is must
        have said each word before."""
        said = [token for i in rng.integers(len(self.words), size=count) for token in self.words[i]]
        question = [*self.encode("Repeat:"), *said, *self.between]
        return np.array(question, np.int32), np.array([*said, *self.after], np.int32)

    def code(self, images: np.ndarray, entry: dict[str, Any]) -> Coded:
        questions = [np.array(self.encode(text) + self.between, np.int32) for _, text, _ in entry["questions"]]
        answers = [np.array(self.encode(answer) + self.after, np.int32) for _, _, answer in entry["questions"]]
        return Coded(images, entry["facts"], [kind for kind, _, _ in entry["questions"]], questions, answers)


# The pool: shards of pictures on the disk


def draw(pool: Path, shards: int, held_out: int, workers: int) -> None:
    """Fill a pool; what is there already stays, so that an interrupted call goes on."""
    pool.mkdir(parents=True, exist_ok=True)
    jobs = [("held-out", HELD_OUT, held_out)] + [(f"{i:04d}", i * SHARD, SHARD) for i in range(shards)]
    wanted = [(str(pool), *job) for job in jobs if not (pool / f"{job[0]}.json").exists()]
    with multiprocessing.get_context("spawn").Pool(workers) as processes:
        for done, name in enumerate(processes.imap(_draw_shard, wanted), start=1):
            print(f"{name}: {done} of {len(wanted)}", flush=True)


def _draw_shard(job: tuple[str, str, int, int]) -> str:
    pool, name, first, count = job
    images = np.empty((count, len(VIEWS), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    entries = []
    for i in range(count):
        picture = sample_picture(first + i)
        images[i] = shrink(picture, np.random.default_rng([first + i, 6]))
        questions = [(q.kind, q.text, q.answer) for q in picture.questions]
        entries.append({"facts": picture.facts, "questions": questions})
    np.save(Path(pool) / f"{name}.npy", images)
    partial = Path(pool) / f"{name}.json.partial"
    partial.write_text(json.dumps(entries))
    os.replace(partial, Path(pool) / f"{name}.json")  # last: a shard with its JSON is whole
    return name


def load_shard(pool: Path, name: str, coder: Coder) -> list[Coded]:
    """The pictures of a shard, once it is there."""
    while not (pool / f"{name}.json").exists():
        time.sleep(1.0)
    images = np.load(pool / f"{name}.npy", mmap_mode="r")
    entries = json.loads((pool / f"{name}.json").read_text())
    return [coder.code(picture, entry) for picture, entry in zip(images, entries, strict=True)]


def choices(
    pool: Path, coder: Coder, recipe: Recipe, stage: int, steps: int, batch: int
) -> Iterator[tuple[list[Coded], np.random.Generator]]:
    """The pictures of each step and the generator for what else is random in it."""
    pictures: list[Coded] = []
    loaded = 0
    for step in range(steps):
        due = min(recipe.shards, recipe.lead + step // recipe.see_every if stage == 0 else recipe.shards)
        while loaded < due:
            pictures += load_shard(pool, f"{loaded:04d}", coder)
            loaded += 1
        rng = np.random.default_rng([recipe.seed, 7, stage, step])
        yield [pictures[i] for i in rng.integers(len(pictures), size=batch)], rng


def shrink(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """The VIEWS of a picture, marked and cut as `prepare` does it, at the size of the model [views, size, size, 3]."""
    frame = picture.image
    if rng.random() < 0.6:  # what a video codec leaves of it
        quality = int(rng.integers(45, 95))
        frame = cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    height, width = frame.shape[:2]
    marked = draw_boxes(frame, picture.boxes, box_scale=1.2, line_width=4)
    person = [picture.boxes["pedestrian"]]
    shown = [marked]
    for boxes in (list(picture.boxes.values()), person):
        part = local_view(boxes, width, height, box_scale=1.2, crop_scale=1.5, lone_view=1 / 6)
        shown.insert(0, marked[part.top : part.bottom, part.left : part.right])
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in shown])


# Rows for training


@dataclass(frozen=True)
class Row:
    images: np.ndarray  # uint8 [n, size, size, 3]
    columns: np.ndarray  # int64 [4, length]: token, position, branch (0: shared), target (-100: none is asked for)
    kinds: list[str]
    spans: list[tuple[int, int]]  # per answer, its predicting positions


def lay_out(
    coded: Coded, coder: Coder, rng: np.random.Generator, text_tokens: int, longest: int = 0, words: int = 0
) -> Row:
    """One row of a picture: shared images first, then as many questions as fit, in random order, some as dialogues."""
    chosen = list(list(CHOSEN)[int(rng.choice(len(CHOSEN), p=list(CHOSEN.values())))])
    opening = np.array(coder.before)
    shared = len(opening) + IMAGE_TOKENS * len(chosen)
    columns = np.empty((4, shared + text_tokens), np.int64)
    columns[:, :shared] = np.arange(shared)
    columns[0, : len(opening)], columns[0, len(opening) : shared] = opening, coder.image
    columns[2, :shared], columns[3, :] = 0, -100
    kinds: list[str] = []
    spans: list[tuple[int, int]] = []
    number, here, end = 0, shared, shared
    closing = len(coder.after) - 1  # the line break after the end mark is the template's, not the model's
    for i in [-1, *rng.permutation(len(coded.questions))] if words else rng.permutation(len(coded.questions)):
        question, answer = coder.echo(rng, words) if i < 0 else (coded.questions[i], coded.answers[i])
        if longest and i >= 0 and len(answer) > longest:
            continue
        goes_on = number > 0 and rng.random() < 0.15  # this question follows the last answer in the same conversation
        lead = len(opening) if goes_on else 0
        size = lead + len(question) + len(answer)
        if end + size > columns.shape[1]:
            continue
        if not goes_on:
            number, here = number + 1, shared
        asked = end + lead
        replied = asked + len(question)
        columns[0, end:asked] = opening[:lead]
        columns[0, asked:replied] = question
        columns[0, replied : end + size] = answer
        columns[1, end : end + size] = np.arange(here, here + size)
        columns[2, end : end + size] = number
        spoken = len(answer) - closing
        columns[3, replied - 1 : replied - 1 + spoken] = answer[:spoken]
        kinds.append(coded.kinds[i] if i >= 0 else "echo")
        spans.append((replied - 1, replied - 1 + spoken))
        here, end = here + size, end + size
    return Row(coded.images[chosen], columns[:, :end], kinds, spans)


def collate(rows: list[Row], pad: int) -> dict[str, torch.Tensor]:
    """Rows to tensors: input_ids, position_ids, branch, targets [batch, length]; images [images, size, size, 3]."""
    length = -(-max(row.columns.shape[1] for row in rows) // 8) * 8
    grid = np.empty((4, len(rows), length), np.int64)
    grid[:] = np.array([pad, 0, -1, -100])[:, None, None]
    for i, row in enumerate(rows):
        grid[:, i, : row.columns.shape[1]] = row.columns
    names = ("input_ids", "position_ids", "branch", "targets")
    images = np.concatenate([row.images for row in rows])
    return {
        **{name: torch.from_numpy(column) for name, column in zip(names, grid, strict=True)},
        "images": torch.from_numpy(images),
    }


def to_device(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def forward(model: Any, batch: dict[str, torch.Tensor], journal: Journal) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [answers' tokens, vocabulary] and their targets [answers' tokens]."""
    branch = batch["branch"]
    same = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
    mask = (same & torch.ones_like(same).tril())[:, None]  # [batch, 1, length, length]
    hidden = model.model(
        input_ids=batch["input_ids"],
        pixel_values=journal.pixels(batch["images"]),
        attention_mask=mask,
        position_ids=batch["position_ids"],
        use_cache=False,
    ).last_hidden_state
    asked = batch["targets"] != -100
    return model.lm_head(hidden[asked]), batch["targets"][asked]


# Training


class Words(torch.nn.Module):
    """Reads attribute i of a picture from output token i, with one table of words for all attributes.

    The score of a token for the value `word` of an attribute is its product with the sum of two vectors, that of the
    attribute and that of the word. So a token says in a part of its own what it is about, which a decoder can look for,
    and in another, the same for every attribute, what is true of it, which a decoder can repeat.
    """

    def __init__(self, width: int, known: dict[str, list[str]]) -> None:
        super().__init__()
        words = sorted({word for values in known.values() for word in values})
        self.index = {name: {word: i for i, word in enumerate(values)} for name, values in known.items()}
        pairs = [(i, words.index(word)) for i, values in enumerate(known.values()) for word in values]
        self.first = np.cumsum([0, *(len(values) for values in known.values())])
        attribute, word = torch.tensor(pairs).T
        self.register_buffer("attribute", attribute, persistent=False)
        self.register_buffer("word", word, persistent=False)
        self.attributes = torch.nn.Parameter(torch.randn(len(known), width) / math.sqrt(width))
        self.values = torch.nn.Parameter(torch.randn(len(words), width) / math.sqrt(width))
        self.bias = torch.nn.Parameter(torch.zeros(len(pairs)))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches [n, patches, width] to logits [n, attributes, pairs of an attribute and a word]."""
        table = self.attributes[self.attribute] + self.values[self.word]
        return patches[:, : len(self.index)] @ table.T + self.bias

    def targets(self, facts: list[dict[str, str]]) -> torch.Tensor:
        """The true pair of each picture and attribute [n, attributes]; -100 where there is none to be seen."""
        found = [
            [
                int(first) + index[known[name]] if known.get(name) in index else -100
                for first, (name, index) in zip(self.first, self.index.items(), strict=False)
            ]
            for known in facts
        ]
        return torch.tensor(found)

    def hits(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Share of pictures whose value of an attribute is the likeliest among the words of this attribute."""
        found = {}
        for i, name in enumerate(self.index):
            own = logits[:, i, self.first[i] : self.first[i + 1]].argmax(-1) + int(self.first[i])
            found[name] = round(float((own == targets[:, i]).float().mean()), 3)
        return found


WORDS = "words.safetensors"
MIRRORED = {"left": "right", "right": "left"}


def mirrored(facts: dict[str, str]) -> dict[str, str]:
    """What is true of a picture whose sides are exchanged. The number on a sign cannot be read in it."""
    turned = {
        name: re.sub(r"\b(left|right)\b", lambda side: MIRRORED[side.group()], value) for name, value in facts.items()
    }
    return {name: value for name, value in turned.items() if name != "speed_limit"}


def see(
    model: Any, stream: Iterator[tuple[list[Coded], np.random.Generator]], recipe: Recipe, journal: Journal
) -> None:
    """The vision tower alone learns to name every attribute of a picture, one view of it at a time."""
    device = journal.device
    tower = model.model.vision_tower
    names = sorted(journal.held_out[0].facts)
    words = Words(
        tower.config.hidden_size, {name: sorted({coded.facts[name] for coded in journal.held_out}) for name in names}
    ).to(device)
    if (journal.folder / WORDS).exists():  # what the tokens mean stays, so that a decoder still understands them
        words.load_state_dict(load_file(journal.folder / WORDS))
        words.requires_grad_(False)
    optimizers = _optimizers([*tower.named_parameters(), *words.named_parameters()], recipe.see_lr, recipe)
    parameters = [*tower.parameters(), *words.parameters()]

    def read(images: np.ndarray, facts: list[dict[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            patches = tower(journal.pixels(torch.from_numpy(images).to(device))).last_hidden_state[:, 1:]
        return words(patches.float()), words.targets(facts).to(device)

    for step, (pictures, rng) in enumerate(stream):
        _set_rate(optimizers, _rate(step, recipe.see_steps, recipe.see_lr, recipe.warmup))
        views = rng.choice(len(VIEWS), size=len(pictures), p=SEEN)
        turned = rng.random(len(pictures)) < 0.5
        images = np.stack([coded.images[view] for coded, view in zip(pictures, views, strict=True)])
        images[turned] = images[turned, :, ::-1]
        facts = [mirrored(coded.facts) if turn else coded.facts for coded, turn in zip(pictures, turned, strict=True)]
        logits, targets = read(images, facts)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        _update(loss, optimizers, parameters, recipe)
        journal.step("see", step, loss, len(pictures))
        if step % recipe.save_every == recipe.save_every - 1 or step == recipe.see_steps - 1:
            with torch.no_grad():
                for view, name in enumerate(VIEWS):
                    shown = np.stack([coded.images[view] for coded in journal.held_out])
                    hits = words.hits(*read(shown, [coded.facts for coded in journal.held_out]))
                    journal.write({"stage": "see", "step": step + 1, "view": name, "held_out": hits})
            journal.save(model, {"stage": "see", "step": step + 1})
            save_file(words.state_dict(), journal.out / WORDS)


def talk(
    model: Any, stream: Iterator[tuple[list[Coded], np.random.Generator]], recipe: Recipe, journal: Journal
) -> None:
    """The whole model learns to answer."""
    coder = journal.coder
    model.model.vision_tower.requires_grad_(False)
    optimizers = _optimizers(list(model.named_parameters()), recipe.talk_lr, recipe)
    for step, (pictures, rng) in enumerate(stream):
        rows = [lay_out(coded, coder, rng, recipe.text_tokens, recipe.longest, recipe.echo) for coded in pictures]
        batch = to_device(collate(rows, coder.tokenizer.pad_token_id), journal.device)
        _set_rate(optimizers, _rate(step, recipe.talk_steps, recipe.talk_lr, recipe.warmup))
        with torch.autocast(journal.device.type, torch.bfloat16):
            logits, targets = forward(model, batch, journal)
        loss = functional.cross_entropy(logits.float(), targets)
        _update(loss, optimizers, list(model.parameters()), recipe)
        journal.step("talk", step, loss, len(pictures))
        if step % recipe.save_every == recipe.save_every - 1 or step == recipe.talk_steps - 1:
            report = evaluate(model, journal)
            journal.write({"stage": "talk", "step": step + 1, "held_out": report})
            journal.save(model, {**asdict(recipe), "stage": "talk", "step": step + 1, "held_out": report})


def _rate(step: int, steps: int, peak: float, warmup: int) -> float:
    """Rises linearly, stays, and falls linearly to a fiftieth over the last 30 percent."""
    falling = (steps - step) / (0.3 * steps)
    return peak * min(1.0, (step + 1) / warmup, max(falling, 0.02))


def _optimizers(named: list[tuple[str, torch.nn.Parameter]], lr: float, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for all else."""
    inner, outer = [], []
    for name, parameter in named:
        if parameter.requires_grad:
            (inner if parameter.ndim == 2 and ".layers." in name else outer).append(parameter)
    decay = recipe.weight_decay
    return [
        torch.optim.Muon(inner, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outer, lr=lr, weight_decay=decay, betas=(0.9, 0.98)),
    ]


def _set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _update(
    loss: torch.Tensor, optimizers: list[torch.optim.Optimizer], parameters: list[torch.Tensor], recipe: Recipe
) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, recipe.grad_norm)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class Journal:
    """Where a training writes: its log, its checkpoint, and what both need."""

    def __init__(self, folder: Path, pool: Path, out: Path, recipe: Recipe) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.folder, self.out = folder, out
        self.coder = Coder(str(folder))
        self.held_out = load_shard(pool, "held-out", self.coder)[: recipe.eval_pictures]
        self.mean, self.std = _normalisation(folder, self.device)
        out.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        self.losses: list[float] = []
        self.pictures = 0

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [n, size, size, 3] to the tower's input [n, 3, size, size]."""
        return (images.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std

    def step(self, stage: str, step: int, loss: torch.Tensor, pictures: int) -> None:
        self.losses.append(float(loss.detach()))
        self.pictures += pictures
        if step % 25 == 24:
            mean, self.losses = sum(self.losses) / len(self.losses), []
            self.write({"stage": stage, "step": step + 1, "loss": round(mean, 4), "pictures": self.pictures})

    def write(self, entry: dict[str, Any]) -> None:
        line = json.dumps({**entry, "seconds": round(time.monotonic() - self.began)})
        print(line, flush=True)
        with (self.out / "log.jsonl").open("a") as log:
            print(line, file=log)

    def save(self, model: torch.nn.Module, record: dict[str, Any]) -> None:
        record = {**record, "seconds": round(time.monotonic() - self.began), "device": _device_name(self.device)}
        _save(model, self.folder, self.out, record)


def train(folder: Path, pool: Path, out: Path, recipe: Recipe) -> None:
    from transformers import LlavaForConditionalGeneration

    torch.manual_seed(recipe.seed)
    # On a CPU the backward pass of fused attention in bfloat16 takes a third of a step of the tower.
    attention = {"vision_config": "sdpa" if torch.cuda.is_available() else "eager", "text_config": "sdpa"}
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
    journal = Journal(folder, pool, out, recipe)
    model.to(journal.device).train()
    if recipe.see_steps:
        stream = choices(pool, journal.coder, recipe, 0, recipe.see_steps, recipe.see_batch)
        see(model, stream, recipe, journal)
    talk(
        model,
        choices(pool, journal.coder, recipe, 1, recipe.talk_steps, recipe.talk_batch),
        recipe,
        journal,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} CPU cores"


def _normalisation(folder: Path, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    file = folder / "processor_config.json"
    config = json.loads((file if file.exists() else folder / "preprocessor_config.json").read_text())
    config = config.get("image_processor", config)
    shape = (1, 3, 1, 1)
    return torch.tensor(config["image_mean"], device=device).view(shape), torch.tensor(
        config["image_std"], device=device
    ).view(shape)


@torch.no_grad()
def evaluate(model: Any, journal: Journal) -> dict[str, float]:
    """Share of answers that greedy decoding gives word for word, by kind of question, on pictures never trained on.

    An answer is right when each of its tokens is the most likely one after the true tokens before it: greedy decoding
    then follows the same path.
    """
    model.eval()
    right: dict[str, list[bool]] = {}
    for begin in range(0, len(journal.held_out), 32):
        rng = np.random.default_rng([8, begin])
        rows = [lay_out(coded, journal.coder, rng, 480, words=12) for coded in journal.held_out[begin : begin + 32]]
        batch = to_device(collate(rows, journal.coder.tokenizer.pad_token_id), journal.device)
        with torch.autocast(journal.device.type, torch.bfloat16):
            logits, targets = forward(model, batch, journal)
        hits = (logits.argmax(-1) == targets).cpu().numpy()
        at = 0
        for row in rows:
            for kind, (first, last) in zip(row.kinds, row.spans, strict=True):
                right.setdefault(kind, []).append(bool(hits[at : at + last - first].all()))
                at += last - first
    model.train()
    report = {kind: round(float(np.mean(values)), 4) for kind, values in sorted(right.items())}
    return {"mean": round(float(np.mean(list(report.values()))), 4), **report}


def _save(model: torch.nn.Module, folder: Path, out: Path, record: dict[str, object]) -> None:
    """The checkpoint in bfloat16 with the files of the start folder, and what made it."""
    state = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()
    }
    state.pop("lm_head.weight", None)  # tied to the embeddings
    save_file(state, out / "model.safetensors.partial", metadata={"format": "pt"})
    os.replace(out / "model.safetensors.partial", out / "model.safetensors")
    for file in folder.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, out / file.name)
    (out / "recipe.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    begin = commands.add_parser("start", help="write the tokenizer and random weights")
    begin.add_argument("folder", type=Path)
    begin.add_argument("pool", type=Path)
    begin.add_argument("--shape", choices=sorted(SHAPES), default="tiny")
    paint = commands.add_parser("draw", help="fill a pool of pictures")
    paint.add_argument("pool", type=Path)
    paint.add_argument("--shards", type=int, default=Recipe().shards)
    paint.add_argument("--held-out", type=int, default=1_000)
    paint.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    learn = commands.add_parser("train", help="train a started checkpoint on a pool")
    for name in ("folder", "pool", "out"):
        learn.add_argument(name, type=Path)
    for name, value in asdict(Recipe()).items():
        learn.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    command = given.pop("command")
    if command == "start":
        start(**given)
    elif command == "draw":
        draw(**given)
    else:
        train(given.pop("folder"), given.pop("pool"), given.pop("out"), Recipe(**given))


if __name__ == "__main__":
    main()
