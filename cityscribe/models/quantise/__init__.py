"""The decoder's weights in four or eight bits: searched for, written, read and computed with.

    quantise(model, processor, out, method="awq", scheme=Scheme(4, 128), calibration=calibration)

`rounding` says which numbers there are, `words` how they lie in a file, `linear` how they are computed with, `loading`
how a folder of them is read, `block` what a search sees of a layer. The searches are the members of `QUANTISERS`
(`cityscribe.models.seams`), one file each. Only the linear layers within the decoder's layers are rounded: the vision
tower, the connector, the embeddings and the head stay as they are.
"""
