"""Jackson's reactor: blend two catalysts along a tube, a chain of reactions A ⇌ B → C with a singular arc.

a' = −u (k₁ a − k₂ b),  b' = u (k₁ a − k₂ b) − (1 − u) k₃ b,  c = 1 − a − b,  k = (1, 10, 1),  0 ≤ u ≤ 1,
a(0) = 1, b(0) = 0,  T = 1,  J = a(T) + b(T) − 1 = −c(T).

On the singular arc the switching function and its derivative vanish, which fixes ρ = b/a and with it u:
(1 − 10 ρ)² = 10 ρ²,  ρ = 1/(10 + √10),  ρ' = 0.  The blend is u = 1 until b/a = ρ, then singular, then 0 from where
e^{−(T−t)} = 10 ρ. Hence c(T) = 0.0480556859; T = 4 and T = 12 give 0.1918143564 and 0.4777120201.
Source: Jackson, J. Optim. Theory Appl. 2 (1968), solved in full in doi:10.1007/s10957-014-0641-4, which prints 0.048055
and, for T = 12, 0.477712; problem 14, "Catalyst mixing", of COPS 3.0 (Dolan, Moré and Munson, ANL/MCS-TM-273, 2004),
whose trapezoidal rule lies below the optimum: −0.0480591, −0.0480565, −0.0480559 with 200, 400, 800 steps; `jackson` of
Bocop and control-toolbox has T = 4.
"""

import math

import ocdl

RATES = (1.0, 10.0, 1.0)
RATIO = 1 / (10 + math.sqrt(10))  # b/a on the singular arc
SINGULAR_BLEND = RATIO / ((1 - 10 * RATIO) * (1 + RATIO) + RATIO)
FIRST_SWITCH = -math.log((1 - 10 * RATIO) / (1 + RATIO)) / 11
COAST = -math.log(10 * RATIO)  # T − t of the second switch


def product(horizon: float) -> float:
    """c(T) of the optimal blend, for a horizon that leaves room for all three arcs."""
    a = (10 + math.exp(-11 * FIRST_SWITCH)) / 11
    a *= math.exp(-SINGULAR_BLEND * (1 - 10 * RATIO) * (horizon - COAST - FIRST_SWITCH))
    return 1 - a * (1 + RATIO * 10 * RATIO)


REFERENCE = -product(1.0)
DIGITS = 1e-9
PUBLISHED, PUBLISHED_DIGITS = -0.048055, 1e-6  # truncated, not rounded


def problem(*, horizon: float = 1.0) -> ocdl.ControlProblem:
    k1, k2, k3 = RATES
    return ocdl.ControlProblem(
        states=["a", "b"],
        controls=["u"],
        dynamics=lambda x, u: [
            -u * (k1 * x[0] - k2 * x[1]),
            u * (k1 * x[0] - k2 * x[1]) - (1 - u) * k3 * x[1],
        ],
        initial=[1.0, 0.0],
        horizon=horizon,
        terminal=lambda x: x[0] + x[1] - 1,
        bounds=ocdl.Box(u=(0, 1)),
    )


def grid(layers: int = 10, *, horizon: float = 1.0) -> ocdl.DepthScheme:
    """As many layers on each of the three arcs."""
    arcs = (FIRST_SWITCH, horizon - COAST - FIRST_SWITCH, COAST)
    return ocdl.Radau(layers=[arc / layers for arc in arcs for _ in range(layers)], degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.ProjectedGradient()]
