"""Is a singular arc a minimum? Where H is affine in u, H_u = 0 = H_uu, and Kelley's condition has to tell.

Of order k is an arc on which u appears first in d^{2k}/dt^{2k} H_u; a minimum needs (−1)^k ∂/∂u d^{2k}/dt^{2k} H_u ≥ 0.
Goddard's rocket (``problems/goddard.py``): full thrust, singular of order one, coast; the condition holds strictly.
x' = u, |u| ≤ 1, x(0) = 0, J = ±½ ∫ x² dt: u = 0 is singular throughout and satisfies the maximum principle, with gap 0,
for both signs. The condition is ±1: with − the arc is the worst there is, and a doublet of height ε and width δ lowers
J by ε²δ³/3. Fuller's problem, x'' = u with +½ x²: of order two, (−1)² · 1 > 0.

``python examples/singular_conditions.py`` prints the arcs and saves ``singular_conditions.png``.
"""

import importlib.util
from pathlib import Path

import numpy as np

import ocdl

GRID = ocdl.Radau(layers=20, degree=3)
BEGIN, WIDTH = 0.3, 0.2  # of the doublet: up from 0.3 to 0.5, down to 0.7
HEIGHTS = np.array([0.25, 0.5, 1.0])


def goddard():
    """``problems/goddard.py``."""
    file = Path(__file__).parent.parent / "problems" / "goddard.py"
    spec = importlib.util.spec_from_file_location("goddard", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at_rest(sign: float, order: int = 1) -> ocdl.ControlProblem:
    """An integrator of this order at 0, J = ±½ ∫ x₁² dt."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: [*[x[i] for i in range(1, order)], u[0]],
        initial=[0.0] * order,
        horizon=1.0,
        running=lambda x: 0.5 * sign * x[0] ** 2,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def answered(problem, grid=GRID, **more):
    solution = ocdl.solve(problem, grid, ocdl.Ipopt(), **more)
    return solution, ocdl.analysis.second_order(problem, grid, solution)


def doublet(sign: float, height: float) -> float:
    """J of u = ±height on either side of the middle of the doublet, 0 elsewhere."""
    times = [0.0, BEGIN, BEGIN + WIDTH, BEGIN + 2 * WIDTH, 1.0]
    return ocdl.simulate(at_rest(sign), (times, np.array([[0.0], [height], [-height], [0.0]]))).cost


rocket = goddard()
ascent = answered(rocket.problem(), rocket.grid())
least, worst, fuller = (answered(at_rest(*which), start={"u": 0.0}) for which in ((1.0,), (-1.0,), (1.0, 2)))
changes = {sign: np.array([doublet(sign, height) for height in HEIGHTS]) for sign in (1.0, -1.0)}


def draw():
    """The thrust by arcs; the condition on each; what a doublet does to J at a minimum and at a maximum."""
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), constrained_layout=True)
    solution, conditions = ascent
    t = np.linspace(0.0, solution.horizon, 800)
    left.plot(t, solution.sample(t)["u"].values.ravel(), color="0.2")
    for arc, colour in zip(conditions.arcs, ("tab:blue", "tab:orange", "tab:green"), strict=True):
        left.axvspan(arc.begin, arc.end, color=colour, alpha=0.15, label=arc.kind)
        said = "singular, order 1: −∂/∂u d²H_u/dt²" if arc.kind == "singular" else f"{arc.kind} bound: |H_u|"
        middle.semilogy(arc.times, arc.values, ".-", color=colour, label=said)
    left.set(title="Goddard's rocket", xlabel="t", ylabel="thrust u")
    left.legend()
    middle.set(title="the condition of every arc: all positive", xlabel="t", ylabel="its value")
    middle.legend(fontsize=9)
    for axis in (left, middle):
        axis.set_xticks([0.0, 0.05, 0.1, 0.15, 0.2])
    right.axhline(0.0, color="0.6", lw=0.8)
    exact = np.linspace(0.0, 1.0, 50)
    for sign, colour, said in ((1.0, "tab:blue", "+½ ∫x²: Kelley 1 > 0"), (-1.0, "tab:red", "−½ ∫x²: Kelley −1 < 0")):
        right.plot(exact, sign * exact**2 * WIDTH**3 / 3, color=colour, lw=1)
        right.plot(HEIGHTS, changes[sign], "o", color=colour, label=said)
    right.set(title="a doublet against the singular arc u = 0", xlabel="height ε", ylabel="J(doublet) − J(0)")
    right.legend()
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    cases = {"Goddard": ascent, "+½ ∫x²": least, "−½ ∫x², planted": worst, "Fuller": fuller}
    for name, (solution, conditions) in cases.items():
        print(f"{name}: J = {solution.cost:.8g}, gap {solution.gap:.1e}\n{conditions}\n")
    print("J of doublets:", {sign: change.tolist() for sign, change in changes.items()})
    draw().savefig("singular_conditions.png", dpi=110)
