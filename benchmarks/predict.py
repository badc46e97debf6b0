"""How many questions a second the local engine answers, against `generate` of plain transformers.

    OMP_NUM_THREADS=1 python -m benchmarks.predict        # a small LLaVA on a CPU, in processor time
    OMP_NUM_THREADS=1 python -m benchmarks.predict --decoder gemma3      # the same with layers that have a window
    python -m benchmarks.predict --device cuda            # random weights of the shape of LLaVA-1.5-7B, in bf16
    python -m benchmarks.predict --device cuda --save build/llava-7b
    python -m benchmarks.predict --device cuda --server http://127.0.0.1:8000/v1

Two long and eight short questions a scene, two images of 576 tokens each. `generate` answers the same questions one by
one, and in batches of long ones and of short ones, so that none waits for a longer answer. All three read the images
and tokenise the questions themselves, run on the same model in the same process and take turns; the best of several
rounds counts. The answers are compared token for token; where two differ, the same model in float64 says how far apart
their tokens are there: a tie within the rounding of float32 has no right answer. The weights are random: they never
say an end token before its time, so that every answer has the full length. Drafts have nothing to propose here.

With `--server` the same questions also go to an OpenAI-compatible server of the saved weights, all at once. vLLM brings
a torch of its own and so needs an environment of its own:

    vllm serve build/llava-7b --dtype bfloat16 --gpu-memory-utilization 0.6 --limit-mm-per-prompt '{"image": 2}'

Its memory is its own to report, and so it is not compared. The part on a GPU has not been run by us.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import openai
import torch
import typer
from PIL import Image
from transformers import GenerationConfig, LlavaForConditionalGeneration

from benchmarks.decoders import DECODERS
from benchmarks.llava import SHAPES, VOCABULARY, random_llava
from cityscribe.engine.local import LocalEngine
from cityscribe.engine.members import Server
from cityscribe.engine.prefix import media_inputs_of
from cityscribe.engine.remote import RemoteEngine
from cityscribe.engine.request import Request
from cityscribe.media.images import open_image
from cityscribe.models.load import save_model
from cityscribe.models.tokenizer import train_tokenizer
from cityscribe.records import image_block, message, text_block
from cityscribe.tokens.encode import Encoded, with_media

Device = Literal["cpu", "cuda"]

INTRODUCTION = "The images show one moment of a traffic event. The pedestrian is in the green box, the vehicle in blue."
LONG = (
    f"{INTRODUCTION} Describe the appearance, position, attention and movement of the pedestrian in detail.",
    f"{INTRODUCTION} Describe the position, view, speed and movement of the vehicle in detail.",
)
SHORT = (
    "What is the weather?",
    "How bright is it?",
    "Is the road surface dry or wet?",
    "What kind of road is it?",
    "How heavy is the traffic?",
    "Where is the pedestrian relative to the vehicle?",
    "What does the pedestrian look at?",
    "What does the vehicle do?",
)


def make_model(
    device: Device, decoder: str = "llama", text: Mapping[str, int] | None = None, **options: Any
) -> tuple[LlavaForConditionalGeneration, Any]:
    """Random weights, the same each time, and the processor; `text` and `options` are those of `random_llava`."""
    tokenizer = train_tokenizer([*LONG, *SHORT], 2048)
    model, processor = random_llava(
        tokenizer,
        device,
        2048 if device == "cpu" else VOCABULARY,
        decoder,
        text,
        # With the usual 0.02 a random model of this size says the same to everything.
        initializer_range=0.1 if device == "cpu" else 0.02,
        **options,
    )
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 0  # a logit of 0 is never the largest of thousands
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model.eval(), processor


def make_questions(folder: Path, scenes: int, long_tokens: int, short_tokens: int) -> list[Request]:
    """Ten questions a scene, with pictures of noise: what a picture shows changes no speed."""
    questions = []
    for scene in range(scenes):
        images = tuple(folder / f"{scene}_{view}.png" for view in ("local", "global"))
        for number, path in enumerate(images):
            pixels = np.random.default_rng([scene, number]).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((640, 360)).save(path)
        for text in (*LONG, *SHORT):
            asked = message("user", image_block(), image_block(), text_block(text))
            limit = long_tokens if text in LONG else short_tokens
            questions.append(Request((asked,), images, limit))
    return questions


def answer(engine: LocalEngine, questions: Sequence[Request]) -> list[list[int]]:
    engine.forget()
    return [list(answer.token_ids) for (answer,) in engine.answer(questions)]


def _shown(question: Request) -> list[dict[str, Any]]:
    return with_media("question", question.messages, [open_image(Path(str(path))) for path in question.media])


@torch.inference_mode()
def generate(model: Any, processor: Any, questions: Sequence[Request], rows: int) -> list[list[int]]:
    """The same by plain transformers, `rows` questions of one length at a time."""
    said: dict[int, list[int]] = {}
    order = sorted(range(len(questions)), key=lambda n: (questions[n].max_tokens, n))
    for start in range(0, len(order), rows):
        batch = order[start : start + rows]
        filled = [_shown(questions[n]) for n in batch]
        inputs = processor.apply_chat_template(
            filled,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        ).to(model.device, model.dtype)
        longest = max(questions[n].max_tokens for n in batch)
        ids = model.generate(**inputs, max_new_tokens=longest, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        said |= {n: row[: questions[n].max_tokens] for n, row in zip(batch, ids.tolist(), strict=True)}
    return [said[n] for n in range(len(questions))]


def server_seconds(url: str, questions: Sequence[Request]) -> tuple[float, float, int]:
    """What a server makes of the same questions, the images sent with each of them: the seconds for all, those of the
    first token of one, and the tokens of all answers."""
    name = openai.OpenAI(base_url=url, api_key="none").models.list().data[0].id
    remote = Server(base_url=url, model=name, concurrency=len(questions), timeout_s=600)
    engine = RemoteEngine(remote)
    engine.answer(questions)  # it may compile for these shapes first, and keep what it has seen
    fresh = [replace(each, messages=(message("system", text_block("Be exact.")), *each.messages)) for each in questions]
    ((first,),) = engine.answer([replace(fresh[0], max_tokens=1)])
    start = time.perf_counter()
    tokens = sum(each.tokens for (each,) in engine.answer(fresh))
    return time.perf_counter() - start, first.seconds, tokens


def ask_server(url: str, questions: Sequence[Request]) -> None:
    """Print it."""
    seconds, first_s, tokens = server_seconds(url, questions)
    print(f"{url}: {seconds:.2f} s, {len(questions) / seconds:.2f} answers/s, {tokens / seconds:.0f} tokens/s")
    print(f"{url}: time to first token of one question: {first_s * 1000:.0f} ms")


@torch.inference_mode()
def tie(model: Any, engine: LocalEngine, question: Request, first: list[int], second: list[int]) -> float:
    """How far apart in float64 the logits of the first two tokens that differ are, as a share of the largest logit."""
    (prompt,) = engine.read([question])
    assert isinstance(prompt, Encoded)
    place = next(n for n, (mine, theirs) in enumerate(zip(first, second, strict=True)) if mine != theirs)
    ids = torch.tensor([[*prompt.input_ids.tolist(), *first[:place]]], device=model.device)
    logits = model(input_ids=ids, **media_inputs_of(model, prompt), logits_to_keep=1).logits[0, -1]
    return float((logits[first[place]] - logits[second[place]]).abs() / logits.abs().max())


def machine(device: Device) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    name = torch.cuda.get_device_name() if device == "cuda" else f"{name}, {torch.get_num_threads()} threads"
    libraries = ", ".join(f"{library} {version(library)}" for library in ("torch", "transformers"))
    return f"{name}, {platform.system()}, Python {platform.python_version()}, {libraries}"


def clock(device: Device) -> float:
    """Seconds: of the processor on a CPU, which others may use as well; of the wall on a GPU."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def main(
    device: Annotated[Device, typer.Option(help="cpu, or cuda for the shape of a 7B model")] = "cpu",
    scenes: Annotated[int, typer.Option(min=1, help="scenes of ten questions")] = 4,
    long_tokens: Annotated[int, typer.Option(min=1, help="tokens of an answer to a long question")] = 96,
    short_tokens: Annotated[int, typer.Option(min=1, help="tokens of an answer to a short question")] = 8,
    rows: Annotated[int, typer.Option(min=1, help="questions in a batch of generate")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="rounds, of which the best counts")] = 2,
    decoder: Annotated[str, typer.Option(help=f"one of {', '.join(DECODERS)}")] = "llama",
    layers: Annotated[int, typer.Option(help="of the decoder; 0 takes those of its shape")] = 0,
    save: Annotated[Path | None, typer.Option(help="folder that the model is written to")] = None,
    server: Annotated[str, typer.Option(help="base URL of a server that serves that folder")] = "",
) -> None:
    """Compare the local engine with `generate` one by one and in batches, and with a server."""
    text = {**SHAPES[device]["text"], "num_hidden_layers": layers} if layers else None
    model, processor = make_model(device, decoder, text)
    if save is not None:
        save_model(model, processor, save)
    sizes = [
        sum(p.numel() for p in part.parameters()) / 1e6
        for part in (model.model.vision_tower, model.model.language_model)
    ]
    print(machine(device))
    print(f"vision tower {sizes[0]:.1f} M, decoder ({decoder}) {sizes[1]:.1f} M parameters, {model.dtype}")
    with tempfile.TemporaryDirectory() as name:
        questions = make_questions(Path(name), scenes, long_tokens, short_tokens)
        engine = LocalEngine(model, processor, batch_size=scenes)
        ways: dict[str, Callable[[], list[list[int]]]] = {
            "generate, one by one": lambda: generate(model, processor, questions, 1),
            f"generate, batches of {rows}": lambda: generate(model, processor, questions, rows),
            "cityscribe": lambda: answer(engine, questions),
        }
        answer(engine, questions[:1])  # the check on the first prompt belongs to no measurement
        best: dict[str, float] = {}
        memory: dict[str, float] = {}
        said: dict[str, list[list[int]]] = {}
        for _ in range(repeats):
            for way, run in ways.items():
                if device == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                start = clock(device)
                said[way] = run()
                best[way] = min(clock(device) - start, best.get(way, float("inf")))
                if device == "cuda":
                    memory[way] = torch.cuda.max_memory_allocated() / 2**30
        engine.forget()
        ((first,),) = engine.answer([replace(questions[0], max_tokens=1)])
        print(f"time to first token of one question: {(first.first_s or 0) * 1000:.0f} ms")
        if server:
            ask_server(server, questions)
        model = model.double() if device == "cpu" else model
        peers = [way for way in ways if way != "cityscribe"]
        differs = {
            way: [
                tie(model, engine, *each)
                for each in zip(questions, said["cityscribe"], said[way], strict=True)
                if each[1] != each[2]
            ]
            for way in peers
        }
    tokens = sum(map(len, said["cityscribe"]))
    for way, seconds in best.items():
        held = f", {memory[way]:.1f} GiB" if way in memory else ""
        print(
            f"{way}: {seconds:.2f} s, {len(questions) / seconds:.2f} answers/s, {tokens / seconds:.0f} tokens/s{held}"
        )
    for way in peers:
        print(f"answers equal to those of {way}: {len(questions) - len(differs[way])} of {len(questions)}")
        for distance in differs[way]:
            print(f"  one differs first where the logits are {distance:.1e} of the largest apart")
    print(f"different answers: {len(set(map(tuple, said['cityscribe'])))}")
    best_peer = min(peers, key=lambda way: best[way])
    print(f"cityscribe is {best[best_peer] / best['cityscribe']:.1f} times as fast as {best_peer}")


if __name__ == "__main__":
    typer.run(main)
