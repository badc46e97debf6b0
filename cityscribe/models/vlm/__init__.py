"""A model from parts: vision towers, a tiling, a connector and a decoder.

    model, processor = compose(VlmParts(...), tokenizer, seed=0)      # `cityscribe.models.vlm.compose`
    save_model(model, processor, Path("mine"))

What comes out is an image-text-to-text model of transformers like any other: it loads, trains, predicts and is served
by the same code. Where its parts are those of LLaVA it is a LLaVA, which plain transformers loads; otherwise its
checkpoint says in a README.md what it is made of, and loads where this package is installed.

An image is cut into views by the tiling. Every tower sees every view and gives features on the same grid, which are put
side by side; the connector makes tokens of them, as many as its `count` says, and they take the places of the image in
the conversation, view after view. How many that are is known before the model runs.

A part is one file and one entry in `cityscribe.models.seams`; `contracts` says what it has to keep.
"""
