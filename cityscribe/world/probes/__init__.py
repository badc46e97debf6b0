"""Probes that ask about the synthetic city, which can be rendered again with one thing changed and all else as it was.

They are members of `cityscribe.evaluate.probes.PROBES` that bring their own questions (`OwnQuestions`): true by the
facts of the scene, whatever data set a model is probed with.
"""
