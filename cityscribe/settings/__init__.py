"""What settings are made of. Each room declares its own section in `ROOM/settings.py`; `cityscribe.project` composes
them, reads project files and writes them.

    class TrainSettings(Section):
        lr: Rate = Field(2e-4, description="...")
        objective: Annotated[str, Named("objective")] = "supervised"
"""

from cityscribe.settings.base import Fraction, Positive, Rate, Section, conflict
from cityscribe.settings.members import Named, OneOf, check_section

__all__ = ["Fraction", "Named", "OneOf", "Positive", "Rate", "Section", "check_section", "conflict"]
