"""The batch size of SGD as a control: small batches first, large ones when noise is what is left.

Of a quadratic loss with curvature a and gradients of variance S, the mean loss m = E ½ a θ² obeys, with batches b(t),

    m' = −2 a m + ½ a S/b,   m(0) = m0,   J = m(T) + c ∫ b dt,   b ≥ 1.

The costate is e^{−2a(T − t)}, so that b = √(a S/(2c)) e^{−a(T − t)} where that is above 1, and

    J = m0 e^{−2aT} + √(2 a S c) (1 − e^{−aT})/a,   which is 0.2811953916 for a = 1, S = 4, c = .01, m0 = 2, T = 2.

Source: Liu and Theodorou (2019), "Deep learning theory review", section 4.4, (45) with noise by the batch size.
"""

import math

import ocdl


def closed_form(a: float = 1.0, S: float = 4.0, c: float = 0.01, m0: float = 2.0, T: float = 2.0) -> float:
    return m0 * math.exp(-2 * a * T) + math.sqrt(2 * a * S * c) * (1 - math.exp(-a * T)) / a


def best_batch(t: float) -> float:
    return math.sqrt(200.0) * math.exp(t - 2.0)


def problem(*, price: float = 0.01) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["m"],
        controls=["b"],
        dynamics=lambda m, b: -2 * m + 2 / b,
        initial=[2.0],
        horizon=2.0,
        terminal=lambda m: m,
        running=lambda b: price * b,
        bounds=ocdl.Box(b=(1, 100)),
    )


def grid(layers: int = 20) -> ocdl.DepthScheme:
    return ocdl.Radau(layers=layers, degree=3, controls=ocdl.PiecewiseLinear())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.IndirectShooting()]
