"""What trains in a model: the tuning methods, members of `cityscribe.models.seams.TUNING`, one file each.

    model, processor = load_for_tuning(settings.model, dtype=torch.float32)      # `cityscribe.models.tuning.prepare`
    print(prepare_tuning(model, settings.model))

A method is a function `(model, settings)` that changes the model in place and returns the parameters that train. At the
first step the model computes what it did before; saved, it is an ordinary checkpoint.
"""
