"""Van der Pol's oscillator, an optimal control problem that is no network.

x' = (1 − y²) x − y + u,  y' = x,  −0.75 ≤ u ≤ 1,  T = 10,  x(0) = 0, y(0) = 1,  J = ∫ x² + y² + u² dt.

Source: the optimal control example of CasADi (Andersson et al., Math. Program. Comput. 11, 2019), here without its
path constraint.
"""

import ocdl


def problem(*, horizon: float = 10.0) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["u"],
        dynamics=lambda x, u: [(1 - x[1] ** 2) * x[0] - x[1] + u, x[0]],
        initial=[0.0, 1.0],
        horizon=horizon,
        running=lambda x, u: x[0] ** 2 + x[1] ** 2 + u**2,
        bounds=ocdl.Box(u=(-0.75, 1)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=50, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.ProjectedGradient()]
