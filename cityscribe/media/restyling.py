"""Training frames in other styles, so that a model does not learn how one camera or one renderer looks.

Domain randomisation (Tobin et al. 2017): what may differ between the pictures that a model learns from and those that
it will see is varied at random. Each function takes pixels, a strength from 1 to 5 and a source of randomness.
"""

from __future__ import annotations

import cv2
import numpy as np

from cityscribe.media.corruptions import Colours


def photometry(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Another camera: gain, contrast, gamma, saturation, white balance. Which colour a thing has can still be told."""
    low, high = 1 - 0.09 * strength, 1 + 0.09 * strength
    gain, contrast, gamma, saturation = rng.uniform(low, high, 4)
    balance = 1 + rng.uniform(-0.02, 0.02, 3) * strength
    found = np.clip(pixels, 0, 1) ** gamma * gain * balance
    found = (found - found.mean()) * contrast + found.mean()
    grey = found @ np.array([0.299, 0.587, 0.114])
    return np.asarray(grey[..., None] + (found - grey[..., None]) * saturation)


def palette(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Other statistics of the colours in Lab, drawn at random (after the colour transfer of Reinhard et al. 2001, where
    a second picture gives them). Colours of things are no longer what they were called."""
    lab = cv2.cvtColor(np.clip(pixels, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    mean, spread = lab.mean((0, 1)), lab.std((0, 1)) + 1e-3
    wanted_mean = mean + rng.normal(0, (4.0, 3.0, 3.0)) * strength
    wanted_spread = spread * np.exp(rng.normal(0, 0.08, 3) * strength)
    lab = (lab - mean) / spread * wanted_spread + wanted_mean
    lab[..., 0] = np.clip(lab[..., 0], 0, 100)
    return np.asarray(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB))


def painted(pixels: Colours, strength: int, rng: np.random.Generator) -> Colours:
    """Flat areas with edges between, as if painted: surfaces lose their texture, shapes stay."""
    width = max(1.0, 0.004 * strength * min(pixels.shape[:2]))
    tolerance = float(rng.uniform(0.05, 0.1)) * strength
    return np.asarray(cv2.bilateralFilter(pixels.astype(np.float32), d=-1, sigmaColor=tolerance, sigmaSpace=width))
