"""The rules of interpolation along an axis, and the constants that numpy and numba kernels share."""

LINEAR, WENO = 0, 1
SIXTH, TWENTIETH = 1.0 / 6.0, 1.0 / 20.0
INTERPOLATIONS = {"weno": WENO, "linear": LINEAR}

SPIKE = 0.75  # share of one bend in the moduli of four from which on V' has a kink at its node
KINKED = 0.93  # between √½, what √|p − before| + √|after − q| over √|jump| is at a kink of V'', and √(4/3) elsewhere
