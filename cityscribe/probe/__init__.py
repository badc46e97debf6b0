"""A checkpoint is probed: questions are changed, asked again and compared (`run`)."""

from cityscribe.probe.run import Probed, probe

__all__ = ["Probed", "probe"]
