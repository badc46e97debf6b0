"""A question about a video of any length, answered by one model with the interval that the answer rests on.

Frames go through the vision tower in blocks, and what they become goes straight into the cache of the decoder: no two
blocks are in memory at once. `layout` says where frames and subtitles stand, `stream` computes, `interval` says which
frames the answer looked at, `question` puts them together.
"""

from cityscribe.calls import make_callable

make_callable(__name__, "cityscribe.notebook:ask")
