"""Chosen and rejected answers: a row that has both becomes two samples that differ in their last answer.

{"prompt": ..., "chosen": ..., "rejected": ...}, or conversations under `chosen` and `rejected`   TRL
{"messages": [...], "rejected_response": ...}, or "rejected_messages"                           ms-swift
{"conversations": [...], "chosen": {...}, "rejected": {...}}, or texts beside an instruction       LLaMA-Factory
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cityscribe.records import Preference, Sample, SampleMessage, message, text_of
from cityscribe.sources.conversation import ConversationEntry, Turn, content_blocks, normal, turns_of
from cityscribe.values import plain_text, shown

REJECTED = ("rejected", "rejected_response", "rejected_messages")
"""Columns of a row of messages that hold a rejected answer, or the conversation that ends with it."""


def with_rejected(
    entry: ConversationEntry, sample: Sample, key: str, tags: tuple[str, str] | None = None
) -> list[Sample]:
    """The sample of a row, and where there is a rejected answer under `key` the two of the pair, the chosen one first.

    `tags` are the keys of role and text in a message, where they are not the usual ones. A rejected answer that cannot
    be read is noted, and the chosen one read alone. A row that this project wrote is half of a pair by itself.
    """
    own = own_preference(entry.row)
    if own is not None:
        return [replace(sample, preference=own)]
    if not entry.row.get(key):
        return [sample]
    answer = _answer(entry, sample, key, tags)
    if answer is None:
        return [sample]
    pair = f"{entry.intake.relative(entry.path)}:{entry.place}"
    rejected = replace(sample, messages=(*sample.messages[:-1], answer), preference=Preference(pair, False))
    return [replace(sample, preference=Preference(pair, True)), rejected]


def own_preference(row: dict[str, Any]) -> Preference | None:
    """What this project wrote into a row; None where there is nothing of that kind."""
    value = row.get("preference")
    if not isinstance(value, dict) or set(value) != {"pair", "chosen"}:
        return None
    pair, chosen = plain_text(value["pair"]), value["chosen"]
    return Preference(pair, chosen) if pair is not None and isinstance(chosen, bool | None) else None


def preference_to_write(sample: Sample) -> dict[str, object]:
    """What `own_preference` reads; empty for a sample of no pair."""
    if sample.preference is None:
        return {}
    return {"preference": {"pair": sample.preference.pair, "chosen": sample.preference.chosen}}


def _answer(entry: ConversationEntry, sample: Sample, key: str, tags: tuple[str, str] | None) -> SampleMessage | None:
    """The rejected answer as a message of the assistant; None, with what is wrong noted."""
    if sample.messages[-1]["role"] != "assistant":
        entry.error(key, "is rejected in favour of no answer: the conversation ends without one")
        return None
    value = entry.row[key]
    if isinstance(value, dict) and tags is not None:
        value = value.get(tags[1])
    if isinstance(value, dict):
        value = value.get("content", value.get("value"))
    if isinstance(value, list) and any(isinstance(part, dict) and ("role" in part or "from" in part) for part in value):
        turns = turns_of(entry, key, role_keys=("role", "from"), text_keys=("content", "value"), newline=False)
        if turns is None or not _begins_alike(entry, sample, key, turns):
            return None
        blocks = turns[-1][1]
    else:
        found = content_blocks(entry, key, value, newline=False)
        if found is None:
            return None
        blocks = found
    if any(block["type"] != "text" for block in blocks):
        entry.error(key, "shows an image in a rejected answer")
        return None
    return message("assistant", *normal(blocks))


def _begins_alike(entry: ConversationEntry, sample: Sample, key: str, turns: Sequence[Turn]) -> bool:
    """Whether a rejected conversation is an answer alone, or ends with one after what comes before the chosen one."""
    spoken = [(role, "".join(b["text"] for b in blocks if b["type"] == "text")) for role, blocks in turns]
    before = [(entry_["role"], text_of(entry_)) for entry_ in sample.messages[:-1]]
    if spoken[-1][0] != "assistant":
        entry.error(key, f"ends with the words of {shown(spoken[-1][0])}, expected an answer of the assistant")
        return False
    if len(spoken) > 1 and spoken[:-1] != before:
        entry.error(key, "does not begin as the chosen conversation does: a pair differs in its last answer only")
        return False
    return True
