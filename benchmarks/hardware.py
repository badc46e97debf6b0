"""The table of docs/hardware.md: what each preset's model takes by each method, and on which GPUs it fits.

python -m benchmarks.hardware                 # prints the table; nothing is measured, all is computed
"""

from __future__ import annotations

import yaml

from cityscribe.plan.estimate import GROUPS, Fit, plan_of
from cityscribe.presets import PRESETS, preset_text
from cityscribe.project import Settings, resolve

METHODS = ("full", "block-expansion", "lora", "qlora")
HEAD = "| preset | method | trains | weights | gradients, moments | activations | 24 GB | 48 GB | 80 GB | 141 GB |"


def row_of(name: str, settings: Settings, method: str) -> str:
    """A line of the table: gigabytes on one device, then for each GPU how many it takes, and hours for GROUPS
    groups."""
    expansion = {"block_expansion": {"blocks": None}, "freeze": [], "unfreeze": []} if method != "full" else {}
    values = settings.model_dump(mode="json")
    values["model"] |= {"method": method, **expansion}
    values["train"]["lr_scales"] = {}
    plan = plan_of(resolve(values), groups=GROUPS)
    memory = plan.memory
    cells = [
        f"`{name}`",
        method,
        f"{plan.tuning.trainable / 1e6:,.0f} of {plan.tuning.total / 1e6:,.0f} M",
        f"{memory.weights / 1e9:.1f}",
        f"{(memory.gradients + memory.moments) / 1e9:.1f}",
        f"{memory.activations / 1e9:.1f}",
        *map(_cell, plan.on),
    ]
    return f"| {' | '.join(cells)} |"


def _cell(each: Fit) -> str:
    return f"{each.devices} × {each.hours:.1f} h" if each.fits else "no"


def main() -> None:
    print(HEAD)
    print("|---|---|---|--:|--:|--:|---|---|---|---|")
    for name in PRESETS:
        if name == "llava-two-stage-2":  # its base is what the first stage makes
            continue
        settings = resolve(yaml.safe_load(preset_text(name, "data")))
        own = settings.model.method
        for method in dict.fromkeys((own, *METHODS)):
            print(row_of(name, settings, method), flush=True)


if __name__ == "__main__":
    main()
