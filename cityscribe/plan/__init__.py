"""What a project will take before anything is made: parameters, memory, tokens, steps, hours.

    plan = plan_of(settings)              # `cityscribe plan project.yaml`

Everything follows from the settings and the configuration of the base model, which is built without memory (on torch's
meta device); no weights are read. What was not measured is an estimate and says so. docs/hardware.md says how each
figure comes about and how far it was checked.
"""
