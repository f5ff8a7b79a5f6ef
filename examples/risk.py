"""What does it cost on average to be safe?

A cart ṡ = v, v̇ = u − c v is to be at s = 1 at T = 2 with an effort ½·0.02∫u², for forty frictions c drawn from [0, 2]
and one control for all: J_c = (s(T) − 1)² + 0.2 v(T)². The mean of J_c, its exponential utility for k < 0 and k > 0,
the mean of the worst tenth, and the worst of all are minimised, each an ordinary problem for IPOPT.

Liu and Theodorou (2019), (49): (1/k) log E e^{kJ} = E J + (k/2) Var J + …, so that averse controls buy less variance
with a higher mean, and seeking ones the other way round.

``python examples/risk.py`` prints the table and saves ``risk.png``.
"""

import numpy as np

import ocdl

FRICTIONS = np.sort(np.random.default_rng(5).uniform(0.0, 2.0, 40))
GRID = ocdl.Radau(layers=20, degree=2)
RISKS = {
    "seeking, k = -10": ocdl.Exponential(-10.0),
    "mean": None,
    "averse, k = 10": ocdl.Exponential(10.0),
    "CVaR 0.9": ocdl.CVaR(0.9),
    "worst case": ocdl.WorstCase(),
}


def problem(risk: ocdl.Risk | None = None, frictions: np.ndarray = FRICTIONS) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        dynamics=lambda v, u, d: [v, u - d[0] * v],
        states=["s", "v"],
        initial=np.zeros((len(frictions), 2)),
        data=frictions[:, None],
        horizon=2.0,
        terminal=lambda s, v: (s - 1) ** 2 + 0.2 * v**2,
        effort=lambda u: 0.01 * u**2,
        controls=["u"],
        bounds=ocdl.Box(u=(-4, 4)),
        risk=risk,
    )


def costs(solution: ocdl.Solution) -> np.ndarray:
    """J_c of every friction, (40,)."""
    s, v = np.moveaxis(solution.state.values[-1, :, :2], -1, 0)
    return (s - 1) ** 2 + 0.2 * v**2


def effort(solution: ocdl.Solution) -> float:
    """½·0.02∫u², which all frictions share."""
    return float(0.01 * 2.0 * np.mean(solution["u"].values ** 2))


MEASURES = {name: np.mean if risk is None else risk.value for name, risk in RISKS.items()}
solutions = {name: ocdl.solve(problem(risk), GRID, ocdl.Ipopt()) for name, risk in RISKS.items()}
table = np.array([[value(costs(one)) + effort(one) for value in MEASURES.values()] for one in solutions.values()])
spread = np.array([costs(one).std() for one in solutions.values()])


def draw(solutions):
    """Controls, and what each friction then costs."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    colours = plt.get_cmap("coolwarm")(np.linspace(0.0, 1.0, len(solutions)))
    for (name, solution), colour in zip(solutions.items(), colours, strict=True):
        u = solution["u"]
        left.stairs(u.values, np.append(u["t"].values, 2.0), baseline=None, color=colour, label=name, lw=1.6)
        right.plot(FRICTIONS, costs(solution), color=colour, lw=1.6)
    left.set(xlabel="$t$", ylabel="$u$")
    left.legend(fontsize=8)
    right.set(xlabel="friction $c$", ylabel="$J_c$")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(f"{'minimised':>17} |" + "".join(f"{name:>18}" for name in MEASURES) + "     spread of J_c")
    for name, row, width in zip(RISKS, table, spread, strict=True):
        print(f"{name:>17} |" + "".join(f"{value:18.6f}" for value in row) + f"{width:18.6f}")
    draw(solutions).savefig("risk.png", dpi=110)
