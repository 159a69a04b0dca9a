"""Chooses integers: weights, biases and grids that keep a layer's sums over the calibration."""
