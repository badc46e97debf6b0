"""From annotated city video to a vision-language model that describes the traffic in it."""

__version__ = "0.1.0"
