"""The command that says what a project will take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import MAIN, Overrides, ProjectFile, app, console

if TYPE_CHECKING:
    from cityscribe.plan.estimate import ProjectPlan


@app.command("plan", rich_help_panel=MAIN)
def plan_command(
    project: ProjectFile,
    groups: Annotated[int | None, typer.Option(min=1, help="image groups; by default those prepared")] = None,
    reached: Annotated[float, typer.Option(min=0.01, max=1, help="share of a GPU's peak that is reached")] = 0.3,
    output: Annotated[Path | None, typer.Option(help="file for the figures, as JSON")] = None,
    overrides: Overrides = None,
) -> None:
    """Say what a project will take before anything is made: parameters, memory, tokens, steps, what fits, hours.

    Computed from the settings and the configuration of the base; no weights are read. docs/hardware.md says how.

    Example: cityscribe plan project.yaml --groups 10000
    """
    from cityscribe.files import write_json
    from cityscribe.plan.estimate import plan_of
    from cityscribe.project import load_settings

    found = plan_of(load_settings(project, overrides or []), groups=groups, reached=reached)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_json(output, found.to_json())
    _print(found, reached)


def _print(plan: ProjectPlan, reached: float) -> None:
    console.print(f"{escape(plan.base)}, tuned by {plan.method}")
    console.print(escape(str(plan.tuning)))
    load, memory = plan.workload, plan.memory
    console.print(
        f"tokens, estimated ({load.counted}): {load.visual_tokens:,} for the images of a sample, "
        f"{load.distinct:,.0f} a group of {load.samples:.0f} samples ({load.effective:,.0f} if images were repeated); "
        f"{load.groups:,} groups, {plan.steps:,} steps"
    )
    console.print(
        f"memory of one device: weights {_gb(memory.weights)}, gradients {_gb(memory.gradients)}, moments "
        f"{_gb(memory.moments)}; estimated: activations {_gb(memory.activations)}, libraries {_gb(memory.reserved)}"
    )
    table = Table("GPU", "memory", "fits on", "of each, GB", f"hours, estimated at {reached:.0%} of the peak")
    for each in plan.on:
        where = f"{each.devices}" + (f" ({each.sharing})" if each.devices > 1 else "")
        if not each.fits:
            where = f"not on {each.devices}"
        shown = f"{each.hours:.1f}" if each.fits else ""
        table.add_row(each.device.name, f"{each.device.memory_gb} GB", where, f"{each.memory.total / 1e9:.1f}", shown)
    console.print(table)


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
