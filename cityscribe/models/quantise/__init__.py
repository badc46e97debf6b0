"""The decoder's weights in four or eight bits: searched for, written, read and computed with.

    found = search(model, QUANTISERS["awq"](dtype), Scheme(4, 128), calibration)
    write_packed(model, processor, found, out, dtype=dtype)

`rounding` says which numbers there are, `words` how they lie in a file, `linear` how they are computed with,
`loading` how a folder of them is read, `write` how it is written, `block` what a search sees of a layer;
`cityscribe.quantise` does all of it, from one checkpoint to another. The searches are the members of `QUANTISERS`
(`cityscribe.models.seams`), one file each. Only the linear layers within the decoder's layers are rounded: the vision
tower, the connector, the embeddings and the head stay as they are.
"""
