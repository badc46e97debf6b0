"""The samples and tiny models of training."""

from tests.train.conftest import city, load

__all__ = ["city", "load"]
