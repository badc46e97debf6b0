"""Whether the chat template of a checkpoint can be rendered at all, and in time.

A template is a program from outside. Transformers runs it in a sandbox that keeps it from doing harm, and not from
never ending. So it is compiled and rendered once in a process of its own, which is given up when it takes too long or
too much, before anything waits for it here.
"""

from __future__ import annotations

import os
import resource
import select
import signal
from typing import Any, cast

from jinja2 import TemplateError, TemplateSyntaxError
from transformers import ProcessorMixin

from cityscribe.files import InputError
from cityscribe.records import SampleMessage, image_block, message, text_block

LIMIT_S = 20.0
"""Seconds that a template may take for three short conversations; they take milliseconds."""

SOUND: set[tuple[object, ...]] = set()
"""What this process has tried already and found nothing wrong with: a copy of a large process takes its time."""

MEMORY = 2**31
"""Bytes that it may take beyond what this process has."""

PROBES: tuple[tuple[SampleMessage, ...], ...] = (
    (message("user", text_block("Where?")),),
    (message("user", image_block(), text_block("Where?")),),
    (
        message("user", image_block(), text_block("Where?")),
        message("assistant", text_block("On the left.")),
        message("user", text_block("And now?")),
    ),
)


def check_template(processor: ProcessorMixin, place: str) -> None:
    """Raises InputError, naming the checkpoint, for a template that fails on any conversation or does not end.

    What it refuses by its own word is left to it: that depends on the conversation.
    """
    tried = (type(processor), repr(processor.chat_template), repr(processor.tokenizer.special_tokens_map))
    if tried in SOUND:
        return
    fault = _in_child(processor) if hasattr(os, "fork") else _render(processor)
    if fault:
        raise InputError(f"{place}: its chat template {fault}")
    SOUND.add(tried)


def _render(processor: ProcessorMixin) -> str:
    """What goes wrong; empty where nothing does."""
    for probe in PROBES:
        try:
            processor.apply_chat_template(cast(Any, list(probe)), tokenize=False, add_generation_prompt=True)
        except TemplateSyntaxError as error:
            return f"is not a template: line {error.lineno}: {error.message}"
        except TemplateError:
            continue
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            return f"fails: {type(error).__name__}: {reason}"
    return ""


def _in_child(processor: ProcessorMixin) -> str:
    """As `_render`, in a copy of this process that does nothing else and is killed after `LIMIT_S`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _speak(processor, writing)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], LIMIT_S)
        said = os.read(reading, 4096).decode("utf-8", "replace") if ready else ""
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not ready:
        return f"does not end within {LIMIT_S:g} s"
    return said.removeprefix("ok") if said else "takes more memory than it is given, or ends the process"


def _speak(processor: ProcessorMixin, writing: int) -> None:
    """What the child does, and its end: nothing of the process that it is a copy of runs in it afterwards."""
    try:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, most))
    except (OSError, ValueError):  # a system that has no such limits
        pass
    try:
        os.write(writing, ("ok" + _render(processor)).encode("utf-8", "replace"))
    finally:
        os._exit(0)
