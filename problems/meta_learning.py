"""Learning to learn: one start and one schedule of learning rates for all tasks.

Task s has the loss L_s(θ) = ½ a_s (θ − c_s)² and adapts by θ' = −u(t) ∂L_s(θ), θ(0) = p. The start p and the rate
u ≥ 0 are shared:

    min  ¼ Σ_s L_s(θ_s(T)) + ½ ρ ∫ u² dt,   T = 1.

Samples share a start as θ = p + x with x(0) = 0. With U = ∫ u, θ_s(T) − c_s = (p − c_s) e^{−a_s U}: only U matters, so
that u = U/T is constant, p = Σ w_s c_s/Σ w_s with w_s = a_s e^{−2 a_s U}, and U is the minimum of a function of one
variable. Tasks of small curvature, which adapt slowly, weigh more than their losses alone say.
Source: Liu and Theodorou (2019), "Deep learning theory review", section 5.4, (58) and (59), with a flow for the steps.
"""

import math

import ocdl

CURVATURES = (0.5, 1.0, 2.0, 4.0)
OPTIMA = (2.0, -1.0, 0.5, -0.3)


def problem(*, price: float = 0.05) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x"],
        controls=["u"],
        parameters=["start"],
        dynamics=lambda x, u, start, d: -u * d[0] * (start + x - d[1]),
        initial=[[0.0]] * len(OPTIMA),
        data=list(zip(CURVATURES, OPTIMA, strict=True)),
        horizon=1.0,
        terminal=lambda x, start, d: 0.5 * d[0] * (start + x - d[1]) ** 2,
        effort=lambda u: 0.5 * price * u**2,
        bounds=ocdl.Box(u=(0, 10)),
    )


def shared_start(U: float) -> float:
    """The best p for U = ∫ u."""
    w = [a * math.exp(-2 * a * U) for a in CURVATURES]
    return sum(x * c for x, c in zip(w, OPTIMA, strict=True)) / sum(w)


def cost(U: float, price: float = 0.05) -> float:
    """J for U, of the best p and u = U."""
    p = shared_start(U)
    losses = [0.5 * a * math.exp(-2 * a * U) * (p - c) ** 2 for a, c in zip(CURVATURES, OPTIMA, strict=True)]
    return sum(losses) / len(losses) + 0.5 * price * U**2


def grid(layers: int = 10) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.LBFGSB()]
