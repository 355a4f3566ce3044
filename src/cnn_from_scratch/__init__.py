"""Convolutional networks with glass walls, in pure NumPy."""
