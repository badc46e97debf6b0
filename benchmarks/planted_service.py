"""A service whose model raises for some requests: `cityscribe serve` with a fault planted in its process.

    python -m benchmarks.planted_service serve CHECKPOINT ...

Whatever holds the text MARK makes the model's forward pass raise. The process that holds the model imports this module
as its main one and finds `hold_model` here.
"""

from __future__ import annotations

from typing import Any

from cityscribe.serve import model_child, model_process

MARK = "~{raise}~"


def hold_model(*arguments: Any) -> None:
    """As `model_child.hold_model`, with a model that fails where the tokens of MARK come along."""
    from cityscribe.engine import local

    load = local.load

    def planted(*given: Any, **options: Any) -> local.LocalEngine:
        engine = load(*given, **options)
        mark = engine.processor.tokenizer.encode(MARK, add_special_tokens=False)[1:-1]  # its ends may join the rest
        width = len(mark)

        def hook(module: Any, inputs: tuple[Any, ...]) -> None:
            if inputs[0].shape[-1] >= width:
                found = inputs[0].unfold(-1, width, 1) == inputs[0].new_tensor(mark)
                if found.all(-1).any():
                    raise RuntimeError("planted")

        engine.model.get_input_embeddings().register_forward_pre_hook(hook)
        return engine

    local.load = planted
    model_child.hold_model(*arguments)


model_process.hold_model = hold_model  # type: ignore[assignment]

if __name__ == "__main__":
    from cityscribe.cli import main

    main()
