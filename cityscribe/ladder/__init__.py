"""Steps that are taken one after the other, and what each of them is worth: up, with one step more each time, and back,
with one step left out.

    ladder:
      steps:                              # in order; each is settings that differ from those before it
        prompts: {prompts.library: driving}
        lora: {model.method: lora}
      beside:                             # compared with the ladder at one step, and no step of it
        other frames: {at: prompts, change: {prompts.control: other-frame}}

`settings` is the section, `arms` the runs that follow from it, `results` the table. The runs are made by the stage
`ladder` of the pipeline.
"""
