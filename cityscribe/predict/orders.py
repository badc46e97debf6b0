"""In which conversations the road users of a phase are asked about. Importing it needs no library of models."""

from __future__ import annotations

from cityscribe.registry import Registry

QuestionOrder = tuple[tuple[str, ...], ...]
"""Conversations, each as the roles that it asks about one after the other."""

ORDERS: Registry[QuestionOrder] = Registry("question-order", "who is asked about first (predict.order)")
ORDERS.add(
    "vehicle-pedestrian",
    (("vehicle", "pedestrian"),),
    "the vehicle first, its answer stays in the conversation (section 3.4 of CityLLaVA)",
    paper="Duan et al. 2024",
)
ORDERS.add("pedestrian-vehicle", (("pedestrian", "vehicle"),), "the pedestrian first, its answer stays")
ORDERS.add("independent", (("vehicle",), ("pedestrian",)), "each in a conversation of its own")
