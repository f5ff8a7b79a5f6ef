"""Tumour anti-angiogenesis: a bounded dose starves a tumour, and the best schedule has a singular arc.

p' = −ξ p ln(p/q),  q' = q (b − μ − d p^{2/3} − G u),  y' = u,  0 ≤ u ≤ 75,  y(0) = 0,  y(T) ≤ 15,
ξ = 0.084, b = 5.85, d = 0.00873, G = 0.15, μ = 0.02,  p(0) = ½ p̄, q(0) = ¼ p̄, p̄ = ((b − μ)/d)^{3/2},
T free,  J = p(T)

(p the volume of the tumour, q that of the vessels that feed it, y the drug used).
Source: Ledzewicz and Schättler, SIAM J. Control Optim. 46 (2007), whose synthesis is full dose, singular, none;
example "tumour anti-angiogenesis" of GPOPS-II (Patterson and Rao, ACM Trans. Math. Softw. 41 (2014)), 7571.6716.
"""

import casadi as ca

import ocdl

GROWTH, BIRTH, INHIBITION, EFFECT, LOSS = 0.084, 5.85, 0.00873, 0.15, 0.02
FULL, AMOUNT = 75.0, 15.0
CAPACITY = ((BIRTH - LOSS) / INHIBITION) ** 1.5

REFERENCE = 7571.67004957  # on 84 layers refined to 1e-8, gap 5.4e-5
DIGITS = 1e-4
PUBLISHED, PUBLISHED_DIGITS = 7571.6716, 2e-3  # to a relative tolerance of 1e-6


def problem() -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        p, q = x[0], x[1]
        return [
            -GROWTH * p * ca.log(p / q),
            q * (BIRTH - LOSS - INHIBITION * p ** (2 / 3) - EFFECT * u[0]),
            u[0],
        ]

    return ocdl.ControlProblem(
        states=["tumour", "vessels", "used"],
        controls=["dose"],
        dynamics=dynamics,
        initial=[CAPACITY / 2, CAPACITY / 4, 0.0],
        final=[None, None, ocdl.Free(0.0, AMOUNT)],
        horizon=ocdl.Free(0.1, 5.0, guess=1.0),
        terminal=lambda x: x[0],
        bounds=ocdl.Box(u=(0.0, FULL), x=([0.01, 0.01, 0.0], [CAPACITY, CAPACITY, AMOUNT])),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=60, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
