"""The stages of a run, one file each: `steps(plan)` declares what a stage does, for each model of the run."""
