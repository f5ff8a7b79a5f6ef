"""Momentum of SGD as a control: little friction while far away, more when noise is what is left.

θ' = v,  v' = −a θ − γ v + noise of strength S: of the quadratic loss ½ a θ² the second moments q = E θ², r = E θv and
s = E v² close:

    q' = 2r,  r' = s − a q − γ r,  s' = −2a r − 2γ s + S,   J = ½ a q(T) + ½ ρ ∫ γ² dt,  0.1 ≤ γ ≤ 5.

A constant γ comes to rest at q = S/(2aγ), s = S/(2γ), which temperature and friction balance. γ is the control.
Source: Liu and Theodorou (2019), "Deep learning theory review", section 4.4; Li, Tai and E (2017).
"""

import ocdl

CURVATURE = 1.0
NOISE = 0.1


def rates(q, r, s, g) -> list:
    """q', r', s'."""
    return [2 * r, s - CURVATURE * q - g * r, -2 * CURVATURE * r - 2 * g * s + NOISE]


def at_rest(friction: float) -> tuple[float, float, float]:
    """q, r, s that a constant friction keeps."""
    return NOISE / (2 * CURVATURE * friction), 0.0, NOISE / (2 * friction)


def problem(*, price: float = 0.01) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["q", "r", "s"],
        controls=["g"],
        dynamics=rates,
        initial=[4.0, 0.0, 0.0],
        horizon=4.0,
        terminal=lambda q: 0.5 * CURVATURE * q,
        effort=lambda g: 0.5 * price * g**2,
        bounds=ocdl.Box(g=(0.1, 5)),
    )


def start() -> dict:
    return {"g": 1.0}


def grid(layers: int = 20) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.LBFGSB()]
