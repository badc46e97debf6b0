"""Images preprocessed once, however many conversations show them.

A processor has to see the images with every conversation about them, to know how many tokens each of them takes.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature

CACHE_BYTES = 256 * 2**20
"""How much memory preprocessed images may take; those that were not shown for longest go first."""


class PreprocessOnce:
    """Stands in for a processor's image processor: the same image objects are preprocessed once.

    What it gives is not copied. A processor that writes into it is found out by `intact`.
    """

    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self._known: OrderedDict[tuple[Any, ...], tuple[list[Any], BatchFeature]] = OrderedDict()
        self._versions: dict[int, int] = {}  # id of a tensor -> how often it was written into when it was made
        self.reused = False  # whether the last call gave what was known

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what pickle and copy ask for before there is an image processor
            raise AttributeError(name)
        return getattr(self.__dict__["_image_processor"], name)

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        shown = list(_flat(images))
        key = (*map(id, shown), repr(args), repr(sorted(kwargs.items(), key=str)))
        self.reused = key in self._known
        if not self.reused:
            with torch.inference_mode(False):  # within it tensors would not count how often they are written into
                features = self._image_processor(images, *args, **kwargs)
            self._known[key] = shown, features
            self._versions |= {id(value): value._version for value in _tensors(features)}
            self._forget_oldest()
        else:
            self._known.move_to_end(key)
            _, features = self._known[key]
        # A new dict, because some processors take entries out of what they get; arrays have no record of who wrote.
        return BatchFeature({n: v if isinstance(v, Tensor) else copy.deepcopy(v) for n, v in features.items()})

    def made(self, inputs: Iterable[tuple[str, object]]) -> bool:
        """Whether all of these inputs, by name and `id`, stand here as the image processor made them."""
        return all(number in self._versions for _, number in inputs)

    def intact(self) -> bool:
        """Whether nobody wrote into what stands here. Where somebody did, all of it is forgotten."""
        known = [value for _, features in self._known.values() for value in _tensors(features)]
        if all(value._version == self._versions[id(value)] for value in known):
            return True
        self._known.clear()
        self._versions.clear()
        return False

    def _forget_oldest(self) -> None:
        sizes = [sum(value.nbytes for value in _tensors(features)) for _, features in self._known.values()]
        total = sum(sizes)
        for size in sizes[:-1]:
            if total <= CACHE_BYTES:
                break
            _, (_, features) = self._known.popitem(last=False)
            for value in _tensors(features):
                self._versions.pop(id(value), None)
            total -= size


def _flat(images: Any) -> Iterator[Any]:
    if isinstance(images, list | tuple):
        for image in images:
            yield from _flat(image)
    else:
        yield images


def _tensors(features: BatchFeature) -> Iterator[Tensor]:
    return (value for value in features.values() if isinstance(value, Tensor))
