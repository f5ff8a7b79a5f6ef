"""How hard does a feedback steer when it fears, or loves, what noise may cost?

dx = u dt + σ dW, J = ∫ x² + u² dt + ½ x(T)², and (1/k) log E e^{kJ} is minimised: its V = P x² + r has

    −P' = 1 − P² + 2 k σ² P²,   −r' = σ² P,   u = −P x,

so that k > 0 steers harder and k < 0 softer, as if a drift kσ²V' pushed the state. The second-order equation finds V
and u on a grid, and its feedback is simulated. For small k the cost is E J + (k/2) Var J (Liu and Theodorou (2019),
(49)).

``python examples/risk_sensitive.py`` prints the table and saves ``risk_sensitive.png``.
"""

import numpy as np
from scipy.integrate import solve_ivp

import ocdl

SIGMA, START, T = 0.5, 1.0, 1.5
AVERSIONS = (-1.5, 0.0, 0.1, 1.0)


def problem(k: float) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["x"],
        controls=["u"],
        dynamics=lambda u: u,
        noise=SIGMA,
        running=lambda x, u: x**2 + u**2,
        terminal=lambda x: x**2 / 2,
        initial=[START],
        horizon=T,
        bounds=ocdl.Box(u=(-6, 6)),
        risk=ocdl.Exponential(k) if k else None,
    )


def riccati(k: float) -> tuple[float, float]:
    """P and r at t = 0."""

    def rate(_, y):
        return [1.0 - y[0] ** 2 + 2.0 * k * SIGMA**2 * y[0] ** 2, SIGMA**2 * y[0]]

    P, r = solve_ivp(rate, (0.0, T), [0.5, 0.0], rtol=1e-10, atol=1e-12).y[:, -1]
    return float(P), float(r)


method = ocdl.StochasticValueIteration(box=(-4.0, 4.0), nodes=81, steps=30)
values = {k: method.value_function(problem(k)) for k in AVERSIONS}
runs = {k: value.rollout(2000, seed=3) for k, value in values.items()}
exact = {k: riccati(k) for k in AVERSIONS}
moments = {k: (float(run.costs.mean()), float(run.costs.var())) for k, run in runs.items()}


def draw():
    import matplotlib.pyplot as plt

    figure, (law, spread) = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    x = np.linspace(-2.0, 2.0, 101)
    for colour, k in enumerate(AVERSIONS):
        law.plot(x, values[k].controls(x[:, None])[0].ravel(), f"C{colour}", label=f"k = {k:g}")
        law.plot(x, -exact[k][0] * x, "k:", lw=1)
        spread.hist(runs[k].costs, 60, range=(0.0, 4.0), density=True, histtype="step", color=f"C{colour}")
    law.set(xlabel="x", ylabel="u", title="feedback at t = 0 (dotted: Riccati)")
    law.legend()
    spread.set(xlabel="J", title="what the same noise costs")
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    heads = ("exact V", 9), ("V on the grid", 19), ("simulated ± chance, steps", 27), ("E J", 8), ("Var J", 8), ("P", 7)
    print(f"{'k':>5} " + " ".join(f"{head:>{width}}" for head, width in heads))
    for k in AVERSIONS:
        (P, r), run, (mean, variance) = exact[k], runs[k], moments[k]
        on_grid = f"{run.value:9.5f} ± {run.value_error:.4f}"
        simulated = f"{run.mean:9.5f} ± {run.standard_error:.4f}, {run.discretisation:.4f}"
        print(f"{k:5.1f} {P * START**2 + r:9.5f} {on_grid:>19} {simulated:>27} {mean:8.4f} {variance:8.4f} {P:7.4f}")
    draw().savefig("risk_sensitive.png", dpi=110)
