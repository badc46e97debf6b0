"""The stages of a run in order: what each reads and writes, what is up to date, and how a run goes on where it stopped.

    prepare ──> train ──> predict ──> evaluate ──> report         and for each baseline train, predict, evaluate
        ├─> reference ─┤                    └────> card           of each model that was trained
        │   where the objective compares with the model before the training
        ├─> teacher ───┤
        │   where it learns from another model
        └─> prompts    └─> quantise
            where questions are put together for their frames, and weights are rounded

A stage is a declaration (`stages/`, one file each): which settings and files it reads, whose results it needs, which
files it writes, and the function that makes them. From that follow the hash of what it is made from and the list of
what it wrote, which `state/STEP.json` keeps (`stamps`); `run` makes what is missing or has changed, and says why.
"""

from cityscribe.pipeline.launch import run_on_all
from cityscribe.pipeline.run import run
from cityscribe.pipeline.step import STAGES, Plan, Step, StepProgress, Variant, Watch

__all__ = ["STAGES", "Plan", "Step", "StepProgress", "Variant", "Watch", "run", "run_on_all"]
