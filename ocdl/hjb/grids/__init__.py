"""Grids of states, interpolation on them, and the kernels that sweep along an axis, in numpy and in numba."""
