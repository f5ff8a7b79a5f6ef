"""Does a risk that seeks find the flat minimum?

Φ(θ) = 3 − 3 e^{−50(θ + 1)²} − 2.5 e^{−2(θ − 1)²} has a deep, narrow minimum at −1 and a flat one at 1. Local entropy,

    Φ_ent(θ) = −log ∫ e^{−Φ(θ + ξ)} N(ξ; 0, 1/γ) dξ = (1/k) log E e^{kΦ},  k = −1,

is the exponential utility of the losses at neighbours ξ, which all share θ: samples with a risk. The larger γ is, the
nearer they are, and the more is depth worth than width.

Liu and Theodorou (2019), section 5.2, (51) to (53): Φ_ent ≈ E Φ − ½ Var Φ.

``python examples/local_entropy.py`` prints the table.
"""

import casadi as ca
import numpy as np

import ocdl

GAMMAS = (10.0, 1000.0)
STANDARD = np.linspace(-4.5, 4.5, 31)
WEIGHTS = np.exp(-0.5 * STANDARD**2)
GRID = ocdl.ExplicitEuler(1)


def loss(theta):
    return 3 - 3 * ca.exp(-50 * (theta + 1) ** 2) - 2.5 * ca.exp(-2 * (theta - 1) ** 2)


def problem(gamma: float) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        dynamics=lambda x: 0 * x,  # θ + x, x(0) = 0: a start that all share
        controls=0,
        parameters=["theta"],
        initial=np.zeros((STANDARD.size, 1)),
        data=STANDARD[:, None] / np.sqrt(gamma),
        weights=WEIGHTS,
        horizon=1.0,
        terminal=lambda x, theta, d: loss(theta + x + d[0]),
        risk=ocdl.Exponential(-1.0),
        bounds=ocdl.Box(theta=(-2, 3)),
    )


def local_entropy(theta: float, gamma: float) -> float:
    return ocdl.Exponential(-1.0).value(neighbours(theta, gamma), WEIGHTS)


def neighbours(theta: float, gamma: float) -> np.ndarray:
    """Φ(θ + ξ), (31,)."""
    return np.array(loss(theta + ca.DM(STANDARD / np.sqrt(gamma)))).ravel()


def two_moments(theta: float, gamma: float) -> float:
    """E Φ − ½ Var Φ."""
    phi, share = neighbours(theta, gamma), WEIGHTS / WEIGHTS.sum()
    mean = share @ phi
    return float(mean - 0.5 * share @ (phi - mean) ** 2)


def best(gamma: float, method: ocdl.Method) -> ocdl.Solution:
    """The better one of what is found from either valley."""
    found = [ocdl.solve(problem(gamma), GRID, method, start={"theta": at}) for at in (-1.05, 1.2)]
    return min(found, key=lambda one: one.cost)


solutions = {
    (gamma, m.name): best(gamma, m) for gamma in GAMMAS for m in (ocdl.Ipopt(), ocdl.ProjectedNewton(tolerance=1e-15))
}
rows = [
    (gamma, name, theta, float(loss(theta)), one.cost, two_moments(theta, gamma))
    for (gamma, name), one in solutions.items()
    for theta in [float(one["theta"])]
]

if __name__ == "__main__":
    print(f"{'gamma':>8} {'method':>16} {'theta':>10} {'loss':>10} {'entropy':>10} {'E - Var/2':>10}")
    for gamma, name, *numbers in rows:
        print(f"{gamma:8g} {name:>16}" + "".join(f"{value:11.6f}" for value in numbers))
