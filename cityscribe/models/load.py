"""Load and save any Hugging Face image-text-to-text model with its processor.

    processor = load_processor("llava-hf/llava-1.5-7b-hf")
    model = load_model("llava-hf/llava-1.5-7b-hf", dtype=torch.bfloat16)
    save_model(model, processor, Path("runs/mine/model"))

A base is a folder, a hub id, or the name of a model that comes with the package. Weights are read from safetensors only
and no code of a checkpoint is run. Whatever is wrong with a checkpoint becomes one `InputError` that names it. A saved
folder is complete: plain `transformers` loads it without this package. It is read back before it counts (`saved`).

`tiles=False` makes a plain LLaVA of a LLaVA-NeXT (`whole_images`), `four_bit=True` loads the decoder's linear layers
in four bits, for training with adapters (`four_bit`).
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    LlavaNextConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import logging as transformers_logging

from cityscribe.files import InputError, at_home, put_in_place, read_json
from cityscribe.models.card_files import shipped
from cityscribe.models.four_bit import (
    check_widths,
    four_bit_config,
    is_four_bit,
    keep_trainable,
    linears_outside_decoder,
)
from cityscribe.models.old_processors import complete, own_class
from cityscribe.models.parts import decoder
from cityscribe.models.quantise.loading import keep_packed, packed_scheme
from cityscribe.models.saved import check_finite, check_saved
from cityscribe.models.templates import check_template
from cityscribe.models.tuning.lora import adapter_weights, is_adapter, is_lora, merged_state_dict
from cityscribe.models.vlm import model as models_from_parts
from cityscribe.models.whole_images import plain_config, plain_processor
from cityscribe.models.without_torchvision import without_torchvision

log = logging.getLogger(__name__)

COMPOSED = models_from_parts.VlmConfig
"""Importing its module is what lets transformers load models from parts."""

SHIPPED = ("cityscribe-tiny",)
"""Names of the models that come with the package, as folders in `cityscribe/assets`."""

PROCESSOR_FILES = {
    "image processor": ("processor_config.json", "preprocessor_config.json"),
    "tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json"),
}
"""What a checkpoint needs besides its weights, each under one of several names."""

ADAPTER_CONFIG = "adapter_config.json"
NO_FOLDER = "no-adapter"
"""Where transformers is sent to look for an adapter: below a checkpoint there is no folder of this name."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def resolve_base(base: str | Path) -> str:
    """The folder or hub id that `base` means. Raises InputError where it is neither."""
    name = str(at_home(base)) if str(base).startswith("~") else str(base)
    if name in SHIPPED:
        folder = shipped(name)
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder}: `{name}` is not part of this installation; name a folder or a hub id")
        return str(folder)
    if Path(name).is_file():
        raise InputError(f"{name}: is a file; expected the folder of a Hugging Face model")
    if not Path(name).is_dir() and not HUB_ID.fullmatch(name):
        raise InputError(f"{name}: no such folder; expected the folder or the hub id of a model")
    return name


def load_config(base: str | Path) -> PreTrainedConfig:
    """The configuration of a model. Raises InputError where it cannot be read or does not read images."""
    place = resolve_base(base)
    if Path(place).is_dir():
        _check_json(Path(place))
    with named_errors(place, "its configuration"):
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    if hasattr(config, "mm_vision_tower"):  # transformers would make one of default sizes of it, without a word
        if hasattr(config, "bert_type"):
            how = "a LLaMA-VID as it is published; `cityscribe model convert llama-vid FOLDER OUT` makes a model of it"
        else:
            how = "a LLaVA as its own code writes it; take the checkpoint of the same name from llava-hf"
        raise InputError(f"{place}: {how}")
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise InputError(f"{place}: a model of type `{config.model_type}` does not answer questions about images")
    if config.is_encoder_decoder or config.get_text_config().is_encoder_decoder:
        raise InputError(
            f"{place}: a model of type `{config.model_type}` reads the question with an encoder of its own; only "
            "decoders that read images and text in one sequence are trained and asked here"
        )
    return config


def load_model(
    base: str | Path,
    *,
    dtype: torch.dtype,
    tiles: bool = True,
    four_bit: bool = False,
) -> PreTrainedModel:
    """Load a model for inference (`eval` mode) in the given type.

    `tiles=False` makes a plain LLaVA of a LLaVA-NeXT and leaves one that is plain as it is. `four_bit=True` quantises
    the linear layers of the decoder to NF4, to compute in `dtype` (QLoRA, Dettmers et al. 2023). The weights of a
    checkpoint that `cityscribe quantise` wrote stay packed, and are unpacked where they are used (`quantise.linear`).

    The weights are used as they are: an adapter in the same folder, which merging in place leaves there, is passed over
    with a warning. Raises InputError where the folder, a file in it or a weight is missing, torn, of an unknown
    architecture, not finite or of another shape than its configuration says: such a weight would be drawn at random.
    Layers of the decoder that the configuration does not count are an error as well, they would be left out without a
    word.
    """
    place = resolve_base(base)
    config = load_config(base)
    if not tiles:
        config = plain_config(config, place)
    if Path(place).is_dir():
        _check_safetensors(Path(place))
        if (Path(place) / ADAPTER_CONFIG).is_file():
            log.warning("%s: an adapter lies beside the weights; the weights are used without it", place)
    scheme = packed_scheme(config)
    if scheme is not None:
        keep_packed(config, scheme)
    quantised = {}
    if four_bit:
        with torch.device("meta"):
            skipped = linears_outside_decoder(AutoModelForImageTextToText.from_config(config))
        quantised["quantization_config"] = four_bit_config(skipped, dtype)
    with named_errors(place, "its weights"), quiet():
        model: PreTrainedModel
        loading: dict[str, Any]
        model, loading = AutoModelForImageTextToText.from_pretrained(  # type: ignore[misc]
            place,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            adapter_kwargs={"subfolder": NO_FOLDER},
            **quantised,
        )
    for name, found, expected in sorted(loading["mismatched_keys"]):
        raise InputError(f"{place}: `{name}` is of shape {list(found)}, its config.json says {list(expected)}")
    for name in sorted(loading["missing_keys"]):
        raise InputError(f"{place}: {len(loading['missing_keys'])} weights are missing, the first of them `{name}`")
    layers = next(name for name, module in model.named_modules() if module is decoder(model)) + ".layers."
    for name in sorted(loading["unexpected_keys"]):
        if name.startswith(layers) and name.endswith((".weight", ".bias")):
            count = config.get_text_config().num_hidden_layers
            raise InputError(f"{place}: has the weight `{name}`, but its config.json counts {count} layers")
    check_finite(model, place)
    if four_bit:
        check_widths(model, place)
        keep_trainable(model)
    return model.eval()


def load_processor(base: str | Path, *, tiles: bool = True) -> ProcessorMixin:
    """Load the processor (tokenizer, image processor, chat template) of a model; `tiles` as in `load_model`.

    Images are processed with Pillow and NumPy, so that they give the same pixels with and without torchvision. It is of
    the class that the checkpoint names, and what an older checkpoint leaves out is taken from its configuration. Raises
    InputError where the checkpoint has no processor, no chat template, or one that cannot be read or rendered.
    """
    place = resolve_base(base)
    config = load_config(base)
    if not tiles:
        plain_config(config, place)  # refuses what cannot do without
    if Path(place).is_dir():
        for what, files in PROCESSOR_FILES.items():
            if not any((Path(place) / file).is_file() for file in files):
                raise InputError(f"{place}: has no {what}; expected {' or '.join(files)} from the model's page")
    with named_errors(place, "its processor"), quiet():
        chosen: Any = own_class(place)
        if chosen is None and type(config) in PROCESSOR_MAPPING:
            chosen = PROCESSOR_MAPPING[type(config)]
        if chosen is None:
            raise ValueError(f"transformers has none for a model of type `{config.model_type}`")
        processor = without_torchvision(chosen).from_pretrained(place)
        complete(processor, place, config)
    if processor.chat_template is None:
        processor.chat_template = processor.tokenizer.chat_template
    if processor.chat_template is None:
        raise InputError(f"{place}: has no chat template; expected chat_template.jinja from the model's page")
    check_template(processor, place)
    return plain_processor(processor, config) if not tiles and isinstance(config, LlavaNextConfig) else processor


def save_model(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Write a checkpoint that plain transformers loads: configuration, safetensors, processor, generation settings.

    The folder appears whole: everything is written beside it and renamed; a checkpoint already there is replaced.
    LoRA adapters are added to the weights that they adapt, without touching the model in memory, and kept in
    `folder/adapter` for peft. Adapters of a four-bit model are added to its base as it was before it was quantised,
    which is loaded for it. What was written is read back and compared. Raises InputError where it cannot be written or
    would not load again (as weights that are not finite), with nothing left behind.
    """
    check_finite(model, str(folder))
    adapted = is_lora(model)
    whole = _unquantised(model) if is_four_bit(model) else model
    with whole_checkpoint(folder) as partial:
        weights = merged_state_dict(model, whole) if adapted else whole.state_dict()
        with quiet():
            whole.save_pretrained(partial, state_dict=dict(weights) if adapted else None)
            check_saved(partial, folder, whole, weights)
        processor.save_pretrained(partial)
        if adapted:
            adapter_weights(model).save(partial / "adapter")


@contextmanager
def whole_checkpoint(folder: Path) -> Iterator[Path]:
    """The folder in which the block writes a checkpoint; it takes the place of `folder` once the block ends well.

    Raises InputError where something cannot be written; then nothing is left behind, nor where the block raises one.
    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        put_in_place(partial, folder)
    except (OSError, SafetensorError) as error:  # a full disk is the latter while weights are written
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(f"{folder}: the checkpoint cannot be written: {error}") from error
    except InputError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def round_weights(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Turn the weights to the type that they are stored in. Adapters stay: they are rounded once, when merged."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not is_adapter(name):
            parameter.data = parameter.data.to(dtype)


def _unquantised(model: PreTrainedModel) -> PreTrainedModel:
    """The model that a four-bit one was loaded from, on the CPU and in the type that it is stored in."""
    base = str(model.name_or_path)
    config = load_config(base)
    stored = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    return load_model(base, dtype=stored, tiles=config.model_type == model.config.model_type)


def _check_json(folder: Path) -> None:
    """Raises InputError with file and line where a JSON file is torn; transformers passes over some in silence."""
    file = folder / "config.json"
    if not file.is_file() and (folder / ADAPTER_CONFIG).is_file():
        base = dict(read_json(folder / ADAPTER_CONFIG)).get("base_model_name_or_path")
        raise InputError(f"{folder}: an adapter of `{base}` without a model; merge it into that model first")
    if not file.is_file():
        inner = f"; {folder / 'model'} is one" if (folder / "model" / "config.json").is_file() else ""
        raise InputError(f"{folder}: has no config.json; expected the folder of a Hugging Face model{inner}")
    kind = dict(read_json(file)).get("model_type")
    if kind not in CONFIG_MAPPING:
        raise InputError(f"{file}: model_type: transformers has no `{kind}`, and code of a checkpoint is never run")
    for other in sorted(folder.glob("*.json")):
        read_json(other)


def _check_safetensors(folder: Path) -> None:
    """Raises InputError with the file where weights are torn, or there in another format only."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder}: has no *.safetensors; weights in other formats are not read, convert them first")
    for file in files:
        try:
            with safe_open(file, framework="pt"):
                pass
        except SafetensorError as error:
            raise InputError(f"{file}: torn or not safetensors: {error}") from error


@contextmanager
def named_errors(place: str, what: str) -> Iterator[None]:
    """Turn what transformers raises about somebody's checkpoint into one line that names the checkpoint.

    A checkpoint is input from outside, and its faults surface as whatever the reading code happened to run into.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        where = place if Path(place).is_dir() else f"{place}: no such folder, and as a hub id it cannot be loaded"
        raise InputError(f"{where}: {what}: {reason[:300]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and advice of the library about things that are checked here and reported as errors."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
