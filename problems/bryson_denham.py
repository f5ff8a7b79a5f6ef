"""Bryson and Denham's beam: the least bending of a beam under a ceiling, a state constraint of second order.

x' = v,  v' = u,  x(t) ≤ l,  x(0) = 0, v(0) = 1,  x(1) = 0, v(1) = −1,  J = ½ ∫_0^1 u² dt.

l ≥ 1/4: the beam does not reach the ceiling, u = −2 and J = 2.  1/6 ≤ l ≤ 1/4: it touches at t = ½ and
J = 2 + 6 (1 − 4 l)².  l ≤ 1/6: it lies against the ceiling on [3 l, 1 − 3 l], where u = 0; before, and mirrored after,

    u = −(2/(3 l)) (1 − t/(3 l)),  p_x = 2/(9 l²),  p_v = −u,  and  J = 4/(9 l),  which is 4 for l = 1/9.

The constraint's multiplier sits at both ends of the contact alone, where p_x jumps by −2/(9 l²).
Source: Bryson, Denham and Dreyfus, AIAA J. 1 (1963); Bryson and Ho, "Applied optimal control" (1975), chapter 3. With
l = 1/10 it is `clamped_beam` of Bocop, and at twice this cost `beam` of control-toolbox.
"""

import ocdl


def least_bending(ceiling: float) -> float:
    if ceiling <= 1 / 6:
        return 4 / (9 * ceiling)
    return 2 + 6 * max(0.0, 1 - 4 * ceiling) ** 2


REFERENCE = least_bending(1 / 9)
DIGITS = 1e-8


def junctions(ceiling: float = 1 / 9) -> tuple[float, float]:
    """Where the contact begins and ends; half time twice where the beam only touches."""
    return min(3 * ceiling, 0.5), max(1 - 3 * ceiling, 0.5)


def problem(*, ceiling: float = 1 / 9) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "v"],
        controls=["u"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0.0, 1.0],
        final=[0.0, -1.0],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        bounds=ocdl.Box(x=(None, [ceiling, float("inf")])),
    )


def grid(layers: int = 10, *, ceiling: float = 1 / 9) -> ocdl.DepthScheme:
    """As many layers on each arc, and nodes at the junctions, between which the optimal control is linear."""
    begin, end = junctions(ceiling)
    arcs = [arc for arc in (begin, end - begin, 1 - end) if arc > 1e-12]
    widths = [arc / layers for arc in arcs for _ in range(layers)]
    return ocdl.Radau(layers=widths, degree=3, controls=ocdl.PiecewiseLinear())


def methods() -> list[ocdl.Method]:
    """No multiplier holds the beam along the contact, where an interior-point method is sharp only as √tolerance."""
    return [ocdl.Ipopt(tolerance=1e-12)]
