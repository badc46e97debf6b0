"""A service whose model raises for some requests: `cityscribe serve` with a fault planted in its process.

    python -m benchmarks.planted_service serve CHECKPOINT ...

Whatever holds the text MARK makes the model's forward pass raise. The process that holds the model is started fresh and
imports this module as its main one, so that the fault is planted in it, too.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from cityscribe.engine import local

MARK = "~{raise}~"


def plant() -> None:
    """Let every engine that is loaded from here on fail where the tokens of MARK come along."""
    load = local.load

    def planted(*arguments: Any, **options: Any) -> local.LocalEngine:
        engine = load(*arguments, **options)
        mark = engine.processor.tokenizer.encode(MARK, add_special_tokens=False)[1:-1]  # its ends may join the rest
        width = len(mark)

        def hook(module: Any, given: tuple[Tensor, ...]) -> None:
            if (
                given[0].shape[-1] >= width
                and (given[0].unfold(-1, width, 1) == given[0].new_tensor(mark)).all(-1).any()
            ):
                raise RuntimeError("planted")

        engine.model.get_input_embeddings().register_forward_pre_hook(hook)
        return engine

    local.load = planted


plant()

if __name__ == "__main__":
    from cityscribe.cli import main

    main()
