"""How finely must a function be tabulated? A ferry crosses a river whose current is known at a few places only.

ẋ = cos θ + w(y), ẏ = sin θ from bank to bank, (0, 0) to (0, 1), in least time, with the current w(y) = ½ sin πy.

By the maximum principle cos θ = λ / (1 − λ w(y)) with one number λ, which the drift ∫ (cos θ + w) / sin θ dy = 0 tells
(Zermelo 1931; Bryson and Ho, "Applied optimal control" (1975), 2.7): the exact time is ∫ dy / sin θ. A cost follows the
error of a table: O(h²) between linear pieces, O(h⁴) along cubic B-splines, h the distance of its points.
"""

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

import ocdl


def current(y):
    return 0.5 * np.sin(np.pi * y)


def tabulated(kind: str, points: int) -> ocdl.Table:
    y = np.linspace(0.0, 1.0, points)
    return ocdl.Table(y, current(y), kind=kind, name="current")


def crossing(w) -> ocdl.ControlProblem:
    """The statement for any current: a function, or a table that is called as one."""
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["heading"],
        units={"x": "km", "y": "km", "heading": "rad"},
        dynamics=lambda y, heading: [np.cos(heading) + w(y), np.sin(heading)],
        initial={"x": 0, "y": 0},
        final={"x": 0, "y": 1},
        horizon=ocdl.Free(0.5, 5.0),
        running=1.0,
        bounds=ocdl.Box(y=(0, 1), heading=(0, np.pi)),  # y keeps inside the table
    )


def exact() -> float:
    def along(integrand, slope: float) -> float:
        def at(y: float) -> float:
            cosine = slope / (1.0 - slope * current(y))
            return integrand(cosine, current(y)) / np.sqrt(1.0 - cosine**2)

        return quad(at, 0.0, 1.0, epsabs=1e-13)[0]

    slope = brentq(lambda s: along(lambda cosine, w: cosine + w, s), -0.6, 0.0, xtol=1e-14)
    return along(lambda cosine, w: 1.0, slope)


DEPTH = ocdl.Radau(layers=16, degree=4, controls=ocdl.PerStage())
POINTS = (9, 17)
EXACT = exact()

formula = ocdl.solve(crossing(current), DEPTH, ocdl.Ipopt(), start={"y": lambda t: t})
times = {
    (kind, points): ocdl.solve(crossing(tabulated(kind, points)), DEPTH, ocdl.Ipopt(), start=formula).cost
    for kind in ("linear", "bspline")
    for points in POINTS
}

if __name__ == "__main__":
    print(f"exact {EXACT:.9f}; by the formula {formula.cost:.9f}")
    for (kind, points), time in times.items():
        print(f"{kind:>8} table of {points:2} points: {time:.9f}, error {time - EXACT:+.1e}")
