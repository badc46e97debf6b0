"""Prediction: engines that answer conversations about images, the order of the questions, and the stage."""
