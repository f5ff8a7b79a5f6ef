"""Van der Pol's oscillator, an optimal control problem that is no network.

x' = (1 − y²) x − y + u,  y' = x,  −0.75 ≤ u ≤ 1,  T = 10,  x(0) = 0, y(0) = 1,  J = ∫ x² + y² + u² dt,
and where asked for x ≥ c.

Source: the optimal control example of CasADi (Andersson et al., Math. Program. Comput. 11, 2019), which has the path
constraint c = −0.25; no optimum was found in print for it. ``SHORT``, T = 5 and u ≥ −0.3, is case study 6.1 of
Balsa-Canto et al. (2002), with J = 2.867259538 in PROPT's manual from one polynomial at 60 points: shooting for the
costates gives 2.8672610452, so that six of those digits are the problem's.
"""

import ocdl

SHORT = {"horizon": 5.0, "weakest": -0.3}
SHORT_REFERENCE = 2.867259538
SHORT_DIGITS = 2e-6


def problem(*, horizon: float = 10.0, weakest: float = -0.75, lowest: float | None = None) -> ocdl.ControlProblem:
    """``weakest``: the lower bound of u; ``lowest``: c, the lower bound of x, none by default."""
    least = {} if lowest is None else {"x": ([lowest, -float("inf")], None)}
    return ocdl.ControlProblem(
        states=["x", "y"],
        controls=["u"],
        dynamics=lambda x, u: [(1 - x[1] ** 2) * x[0] - x[1] + u, x[0]],
        initial=[0.0, 1.0],
        horizon=horizon,
        running=lambda x, u: x[0] ** 2 + x[1] ** 2 + u**2,
        bounds=ocdl.Box(u=(weakest, 1), **least),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=50, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.NeedleSteps(), ocdl.ProjectedGradient()]
