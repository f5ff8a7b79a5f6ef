"""The rules of interpolation along an axis, by their names and as the kernels know them."""

LINEAR, WENO = 0, 1
INTERPOLATIONS = {"weno": WENO, "linear": LINEAR}
