"""The demo before it computes anything: its settings, and the picture that it shows at once."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from cityscribe.demo import demo_settings, first_picture
from cityscribe.project import resolve
from cityscribe.world.dataset import WorldSettings


def test_its_settings_are_settings() -> None:
    settings = resolve(demo_settings(Path("runs"), Path("runs/city-0"), 0))
    assert settings.threads_each == 1  # so that its bytes do not depend on the number of cores
    assert settings.predict.baselines == ("untuned", "blind")


def test_the_first_picture_shows_both_road_users_in_their_boxes() -> None:
    picture = np.asarray(Image.open(io.BytesIO(first_picture(WorldSettings(seed=0, width=640)))), dtype=int)
    assert picture.shape == (360, 640, 3)
    for colour in ((0, 255, 0), (0, 0, 255)):
        drawn = np.abs(picture - colour).sum(axis=2) < 90  # JPEG rounds
        rows, columns = np.nonzero(drawn)
        assert np.ptp(rows) > 20, colour
        assert np.ptp(columns) > 5, colour
