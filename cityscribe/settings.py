"""The settings of a project: typed, with defaults, checked at once.

A project is a YAML file whose sections are the stages. Everything has a default but `data.path`. This is the one place
where defaults are resolved: after `load_settings` every value is there, and a stage takes its section whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from cityscribe.files import InputError
from cityscribe.registry import registry

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Part = Literal["vision_tower", "connector", "embeddings", "decoder", "head"]
"""The parts of a model; blocks and adapters that a method adds belong to the part that they stand in."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


Source = Literal[
    "wts",
    "llava",
    "sharegpt",
    "messages",
    "datasets",
    "wts-vqa",
    "drivelm",
    "lingoqa",
    "nuscenes-qa",
    "bdd-x",
    "jaad",
    "video-qa",
    "ucf-crime",
    "animal-kingdom",
]
"""The formats of data sets; each is a module of `cityscribe.sources`."""


class DataSettings(Section):
    source: Source = Field("wts", description="format of the data set")
    path: Path = Field(description="folder of the data set")
    files: tuple[str, ...] = Field(
        (), description="of a source of conversations: which files of the folder; none takes all"
    )
    frames: int = Field(4, ge=0, le=1024, description="frames that show a video of a conversation; 0 refuses videos")
    val_share: Fraction = Field(
        0.1, description="share of the images that validates where a data set of conversations names no split for it"
    )
    boxes: Literal["annotated", "generated", "both"] = Field(
        "annotated", description="which boxes to use; both: generated ones where a phase has no annotated one"
    )
    tracks: Path | None = Field(
        None, description="file or folder of an annotation tool or tracker, read as generated boxes of its videos"
    )


class LabellerSettings(Section):
    """Who sorts the sentences of a caption into dimensions."""

    kind: Literal["rules", "server", "local", "script"] = Field(
        "rules", description="rules need no model; a server, a chat model of this machine or recorded replies are asked"
    )
    base_url: str = Field("http://127.0.0.1:8000/v1", description="of any OpenAI-compatible server")
    model: str = Field("", description="name of the model on that server; or a folder, hub id or GGUF file here")
    timeout_s: Rate = Field(30.0, description="seconds for a whole reply of the server")
    path: Path = Field(Path("replies.json"), description="of recorded replies")


class PrepareSettings(Section):
    pedestrian_threshold: float = Field(1000.0, ge=0, description="thr_p of Eq. 2, pixels squared")
    vehicle_threshold: float = Field(1000.0, ge=0, description="thr_v of Eq. 2, pixels squared")
    images: tuple[Literal["global", "local", "pedestrian", "vehicle", "appearance"], ...] = Field(
        ("local", "global"),
        min_length=1,
        description="which images a sample shows, in order; pedestrian and vehicle show one road user alone, "
        "appearance the pedestrian where any phase and view of the scenario shows it best",
    )
    draw_boxes: bool = Field(True, description="draw the boxes on the images (the visual prompt)")
    draw_gaze: bool = Field(False, description="draw an arrow from the pedestrian's head to where the person looks")
    box_scale: Rate = Field(1.2, description="c of Eq. 3")
    crop_scale: Rate = Field(1.5, description="c* of Eq. 5")
    line_width: Positive = Field(4, description="of a drawn box, pixels of the frame")
    image_size: int = Field(0, ge=0, description="longest side of a stored image, 0 keeps the size")
    jpeg_quality: int = Field(95, ge=1, le=100)
    prompts: Path | None = Field(None, description="YAML file that replaces the prompts of the package")
    rounds: Literal["single", "multi"] = Field("single", description="one question a sample, or all of an image in one")
    short_per_long: float | None = Field(
        1.0, ge=0, description="short questions for each long one, drawn by the seed; null keeps all"
    )
    labeller: LabellerSettings = LabellerSettings()
    engine: Literal["local", "ray"] = Field(
        "local", description="who works on the videos: processes here, or a Ray cluster (extra [ray])"
    )
    workers: int = Field(0, ge=0, description="processes, or tasks of Ray, at once; 0 takes one a core")
    rotate_options: bool = Field(
        False, description="ask questions with options in all rotations, but for training (circular evaluation)"
    )


class BlockExpansionSettings(Section):
    blocks: Positive = Field(12, description="how many copies are inserted, spread evenly")
    deepest: Positive | None = Field(None, description="spread them over this many of the last layers; null takes all")
    positions: tuple[int, ...] | None = Field(
        None, description="insert a copy after each of these layers (counted from 0) instead"
    )

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> BlockExpansionSettings:
        if self.deepest is not None and self.positions is not None:
            raise PydanticCustomError("conflict", "give positions or deepest, not both")
        return self


class LoraSettings(Section):
    """Of the methods lora, dora and qlora."""

    rank: Positive = 64
    alpha: Rate = 128.0
    dropout: Fraction = 0.0
    parts: tuple[Literal["decoder", "connector", "vision_tower"], ...] = Field(
        ("decoder",), min_length=1, description="whose linear layers get adapters"
    )
    targets: tuple[str, ...] | None = Field(None, description="names of modules in these parts; null takes all")


class ModelSettings(Section):
    base: str = Field("cityscribe-tiny", description="folder or hub id of an image-text-to-text model")
    tiles: bool = Field(True, description="false feeds LLaVA-NeXT each image whole: it becomes a plain LLaVA")
    method: Literal["block-expansion", "lora", "dora", "qlora", "full", "connector", "none"] = Field(
        "block-expansion", description="none trains nothing: the base answers as it is"
    )
    freeze: tuple[Part, ...] = Field(
        (), description=f"parts that do not train though the method would train them; of {', '.join(get_args(Part))}"
    )
    unfreeze: tuple[Part, ...] = Field((), description="parts that train whole though the method would freeze them")
    block_expansion: BlockExpansionSettings = BlockExpansionSettings()
    lora: LoraSettings = LoraSettings()

    @model_validator(mode="after")
    def _frozen_or_not(self) -> ModelSettings:
        both = sorted(set(self.freeze) & set(self.unfreeze))
        if both:
            raise PydanticCustomError("conflict", "{part} cannot be in both freeze and unfreeze", {"part": both[0]})
        if not self.tunes and self.unfreeze:
            raise PydanticCustomError("conflict", "method none trains nothing, and unfreeze wants to train something")
        return self

    @property
    def tunes(self) -> bool:
        """Whether there is a training at all."""
        return self.method != "none"


def _objective(value: Any) -> Section:
    """The section of the objective that `kind` names."""
    if isinstance(value, Section):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("conflict", "expected settings such as kind: supervised")
    objectives = registry("objective")
    name = value.get("kind", objectives.names()[0])
    if name not in objectives:
        raise PydanticCustomError(
            "no_member", "expected one of {expected}", {"expected": ", ".join(objectives.names())}
        )
    member: type[Section] = objectives[name]
    return member.model_validate(value)


Objective = Annotated[Any, PlainValidator(_objective), PlainSerializer(lambda section: section.model_dump(mode="json"))]


class TrainSettings(Section):
    objective: Objective = Field({}, description="what the training minimises")
    images: bool = Field(True, description="false trains a blind model: the same questions without the images")
    epochs: Rate = 1.0
    max_steps: int = Field(0, ge=0, description="stop after so many steps; 0 goes by epochs")
    lr: Rate = 2e-4
    lr_scales: dict[Part, Rate] = Field({}, description="factors on the rate of parts, such as {connector: 0.1}")
    warmup: Fraction = Field(0.03, description="share of the steps in which the rate rises")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: Rate = 1.0
    batch_groups: Positive = Field(8, description="image groups (all samples of an image) in a step, on all processes")
    batching: Literal["shuffled", "similar-length"] = Field(
        "shuffled", description="similar-length: groups of a step have about as many tokens, so that no process waits"
    )
    accumulate: Positive = Field(1, description="steps whose gradients are summed before an update")
    share_prefix: bool = Field(True, description="compute what the samples of an image share once (prefix tree)")
    weighting: Literal["token", "sequence", "sqrt-branches"] = "token"
    max_tokens: Positive = Field(2048, description="longest sample, image tokens counted")
    too_long: Literal["error", "skip"] = Field("error", description="what to do with a longer sample; none is ever cut")
    budget_tokens: Positive = Field(4096, description="distinct tokens in one row of trees")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    save_steps: Positive = Field(100, description="steps between checkpoints to resume from")
    keep_checkpoints: Positive = 2
    workers: int = Field(0, ge=0, description="processes that load images; 0 loads in the trainer's own")
    distributed: Literal["auto", "ddp", "fsdp2", "deepspeed"] = Field(
        "auto",
        description="how the processes of torchrun share the work; auto: deepspeed if that is set, else ddp, a whole "
        "model each",
    )
    deepspeed: Path | None = Field(None, description="JSON file of DeepSpeed; null takes ZeRO-3 as it comes with us")
    report_to: Literal["none", "tensorboard", "wandb"] = Field(
        "none", description="where the curves go beside curve.jsonl"
    )

    @model_validator(mode="after")
    def _one_way_to_share(self) -> TrainSettings:
        if self.deepspeed is not None and self.distributed not in ("auto", "deepspeed"):
            raise PydanticCustomError("conflict", "train.deepspeed and train.distributed contradict each other")
        return self


UNRELATED_TO_WEIGHTS = ("save_steps", "keep_checkpoints", "workers", "distributed", "deepspeed", "report_to")
"""Settings of training that may change when it goes on: up to rounding, what it ends with does not depend on them."""


class RemoteSettings(Section):
    """A server that answers in the place of the trained model, for predict.engine: remote."""

    base_url: str = Field("http://127.0.0.1:8000/v1", description="of any OpenAI-compatible server")
    model: str = Field("", description="name of the model on that server")
    concurrency: Positive = Field(8, description="requests under way at once")
    tries: Positive = Field(6, description="of each request, with growing pauses between them")
    timeout_s: Rate = Field(120.0, description="seconds to wait for one answer")


class PredictSettings(Section):
    engine: Literal["local", "remote"] = Field("local", description="remote asks a server; its key is OPENAI_API_KEY")
    remote: RemoteSettings = RemoteSettings()
    split: Literal["val", "test", "train"] = "val"
    order: Literal["vehicle-pedestrian", "pedestrian-vehicle", "independent"] = Field(
        "vehicle-pedestrian",
        description="section 3.4: the earlier answer stays in the conversation of the later question",
    )
    max_new_tokens: Positive = 256
    batch_size: Positive = Field(8, description="scenes answered together")
    drafts: bool = Field(True, description="propose phrases of the training captions; same answers, fewer steps")
    choices: Literal["text", "letters", "likelihood"] = Field(
        "text",
        description="a question with options: said freely and the letter read from it, or only letters can be said "
        "(extra [serve]), or the likeliest letter",
    )
    temperature: float = Field(0.0, ge=0, description="0 is greedy")
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    baselines: tuple[Literal["untuned", "blind"], ...] = Field(
        (), description="also predicted and scored: the model before tuning; the same training without images"
    )

    @model_validator(mode="after")
    def _remote_or_not(self) -> PredictSettings:
        if self.engine == "remote" and self.baselines:
            raise PydanticCustomError(
                "conflict", "baselines are other models than the one on the server: ask them with engine local"
            )
        if self.engine == "remote" and self.choices != "text":
            raise PydanticCustomError("conflict", "a server is asked for text only: choices must be text")
        return self


class EvaluateSettings(Section):
    profile: Literal["auto", "wts", "coco", "choices", "answers"] = Field(
        "auto",
        description="the rules: of captions those of the challenge (wts) or of pycocoevalcap (coco, extra [coco]); of "
        "questions options (choices) and short answers (answers); auto takes wts for scenarios, else by the answers",
    )
    against: str = Field("", description="a class of questions with options that is also set against all others")
    backend: Literal["python", "java"] = Field(
        "python", description="java audits the profile coco with the original tokenizer and scorers"
    )
    references: Path | None = Field(None, description="folder of the references; null takes data.path")
    official_quirks: bool = Field(False, description="leave out what the official evaluator overlooks")

    @property
    def caption_profile(self) -> str:
        """The rules for the captions of scenarios."""
        return "wts" if self.profile == "auto" else self.profile


class ReportSettings(Section):
    samples: int = Field(12, ge=0, description="phases shown with images, reference and prediction")


class ServeSettings(Section):
    """Of `cityscribe serve`: where it listens and what it takes. A request over a limit is refused, the rest go on."""

    host: str = Field("127.0.0.1", description="address to listen on; any but this machine's own needs a token")
    port: int = Field(8080, ge=0, lt=2**16, description="0 takes a free one")
    queue: Positive = Field(64, description="requests that are being received, decoded, waited for or answered")
    max_body_mb: Positive = Field(32, description="of a chat request")
    max_upload_mb: Positive = Field(256, description="of a clip to describe")
    max_images: Positive = Field(32, description="in a chat request, the frames of its videos counted")
    max_characters: Positive = Field(100_000, description="of the text of a chat request")
    video_frames: Positive = Field(8, description="evenly spread, that show a video of a chat request")
    max_megapixels: Rate = Field(40.0, description="of an image, or of a frame of a video")
    max_request_megapixels: Rate = Field(80.0, description="of all images and frames of a chat request together")
    max_duration_s: Rate = Field(300.0, description="of a video")
    max_frames: Positive = Field(20_000, description="of a video")
    max_tokens: Positive = Field(1024, description="of an answer")
    timeout_s: Rate = Field(120.0, description="for a request to be answered, and for the model to show life")
    max_connections: Positive = Field(256, description="open at once; further ones are closed")
    head_timeout_s: Rate = Field(10.0, description="for the head of a request to arrive")
    receive_timeout_s: Rate = Field(60.0, description="for the body of a request to arrive")
    send_timeout_s: Rate = Field(60.0, description="for which a client may not read the answer that is sent to it")
    decode_timeout_s: Rate = Field(30.0, description="for one file to be decoded")
    decode_memory_mb: Positive = Field(3072, description="address space of the process that decodes files")
    jobs: Positive = Field(32, description="clips that are being described or whose descriptions are kept")
    keep_s: Rate = Field(3600.0, description="how long descriptions are kept")
    grace_s: Rate = Field(30.0, description="for what is under way to finish when the service is stopped")


class Settings(Section):
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run; its folder is runs/NAME")
    runs: Path = Field(Path("runs"), description="folder of the runs")
    seed: int = Field(0, ge=0, lt=2**32)
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    predict: PredictSettings = PredictSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()
    serve: ServeSettings = ServeSettings()

    @model_validator(mode="after")
    def _something_to_compare_with(self) -> Settings:
        if not self.model.tunes and self.predict.baselines:
            raise PydanticCustomError(
                "conflict", "predict.baselines are of a tuning, and model.method none has none: leave them empty"
            )
        return self

    @property
    def run_dir(self) -> Path:
        return self.runs / self.name


def load_settings(path: Path, overrides: Sequence[str] = ()) -> Settings:
    """Read a project file and apply overrides such as `train.lr=1e-4`.

    Raises InputError that lists every mistake at once, each with its place, its line in the file, and for an unknown
    name the nearest one that exists. Relative paths are relative to the folder in which the command runs.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "; `cityscribe init` writes one" if not path.exists() else ""
        raise InputError(f"{path}: {error.strerror or error}{hint}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: not UTF-8 text") from error
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        where = f": line {mark.line + 1}" if mark is not None else ""
        what = error.problem if isinstance(error, yaml.MarkedYAMLError) else "nested too deeply"
        raise InputError(f"{path}{where}: not YAML: {what}") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected sections such as `data:` and `train:`, found {_kind(values)}")
    places = _lines(tree)
    given = {place: f"{path}: line {line}" for place, line in places.items()}
    for override in overrides:
        place = _override(values, override)
        given[place] = f"--set {override}"
    return resolve(values, given, str(path))


def settings_without_project(overrides: Sequence[str] = ()) -> Settings:
    """The defaults with overrides, for a command that needs no data set. Raises InputError for an override."""
    values: dict[str, Any] = {"data": {"path": "."}}
    given = {_override(values, override): f"--set {override}" for override in overrides}
    return resolve(values, given)


def resolve(
    values: dict[str, Any], given: dict[tuple[str, ...], str] | None = None, origin: str = "settings"
) -> Settings:
    """Check values and fill in the defaults. `given` says where each place was written, for messages."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = [_message(entry, given or {}, origin) for entry in error.errors()]
        raise InputError("\n".join(lines)) from error


def dump_settings(settings: Settings) -> str:
    """The settings as YAML with every value there; loading it gives equal settings."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def commented_settings(data_path: str) -> str:
    """A project file that shows every setting with its default and what it means, for `cityscribe init`."""
    head = "# A cityscribe project. Every value below is the default; what you do not need can go.\n"
    defaults = Settings.model_validate({"data": {"path": data_path}})
    return head + "\n".join(_commented(defaults, 0)) + "\n"


def _commented(section: Section, depth: int) -> list[str]:
    lines: list[str] = []
    indent = "  " * depth
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            lines += ([""] if depth == 0 else []) + [f"{indent}{name}:", *_commented(value, depth + 1)]
            continue
        plain = section.model_dump(mode="json")[name]
        shown = yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
        note = [field.description] if field.description else []
        choices = _choices(field.annotation)
        if choices:
            note.append("one of " + ", ".join(choices))
        lines.append(f"{indent}{name}: {shown}" + (f"  # {'; '.join(note)}" if note else ""))
    return lines


def _choices(annotation: Any) -> list[str]:
    options = get_args(annotation)
    return [str(option) for option in options] if options and all(isinstance(option, str) for option in options) else []


def _override(values: dict[str, Any], override: str) -> tuple[str, ...]:
    name, equals, text = override.partition("=")
    place = tuple(part.strip() for part in name.split("."))
    if not equals or not all(place):
        raise InputError(f"--set {override}: expected NAME=VALUE, such as train.lr=1e-4")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {override}: the value is not YAML") from error
    section = values
    for part in place[:-1]:
        inner = section.setdefault(part, {})
        if inner is None:
            inner = section[part] = {}
        if not isinstance(inner, dict):
            raise InputError(f"--set {override}: {part} is a value, not a section")
        section = inner
    section[place[-1]] = value
    return place


def _lines(tree: yaml.Node | None, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    if isinstance(tree, yaml.MappingNode):
        for key, value in tree.value:
            here = (*place, str(key.value))
            found[here] = key.start_mark.line + 1
            found |= _lines(value, here)
    return found


def _message(entry: Any, given: dict[tuple[str, ...], str], origin: str) -> str:
    place = tuple(str(part) for part in entry["loc"])
    where = next((given[place[:n]] for n in range(len(place), 0, -1) if place[:n] in given), origin)
    name = ".".join(place)
    if entry["type"] == "extra_forbidden":
        known = _names(place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
        return f"{where}: {name}: no such setting; {hint}"
    if entry["type"] == "missing":
        return f"{where}: {name}: missing"
    found = entry["input"]
    problem = entry["msg"][:1].lower() + entry["msg"][1:]
    if entry["type"] == "conflict":  # of several settings: the section that was found tells nothing
        return ": ".join(part for part in (where, name, problem) if part)
    if entry["type"] == "literal_error" and isinstance(found, str):
        options = [option.strip(" '") for option in entry["ctx"]["expected"].replace(" or ", ", ").split(",")]
        near = difflib.get_close_matches(found, options, n=1, cutoff=0.4)
        problem = f"expected one of {', '.join(options)}" + (f"; did you mean `{near[0]}`?" if near else "")
    return f"{where}: {name}: {problem}; found {found!r}"


def _names(place: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    for part in place:
        field = section.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        section = field.annotation
    return list(section.model_fields)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"{value!r}"
