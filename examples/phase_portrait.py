"""Where do two neurons come to rest, from where, and what do they do if there is no such place?

∂t f = tanh(a − Bf),  y ∈ {¼, ¾},  for six kernels: a node, a saddle, a focus, a centre, a kernel of rank one with a in
its range, and the same with another a. Eigenvalues ω of B say the first four. A kernel of rank one leaves a line of
steady states, or none: then u = a − Bf goes to the u_e of σ(u_e) ∈ N(B), and f to a straight line of slope σ(u_e).

The stable manifold of the saddle parts the plane: from its two sides states leave in opposite directions.

``python examples/phase_portrait.py`` prints the table and saves ``phase_portrait.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import Flow, KernelOperator, equilibria, phase_portrait

WIDTH = ocdl.Midpoint(2)
REST, OUTSIDE = np.array([0.5, -0.3]), np.array([0.6, -0.5])
KERNELS = {
    "node": [[1.0, 0.3], [0.2, 0.4]],
    "saddle": [[1.0, 0.5], [0.5, -0.6]],
    "focus": [[0.3, 1.0], [-1.0, 0.3]],
    "centre": [[0.0, 1.0], [-1.0, 0.0]],
    "rank one": [[1.0, 0.5], [1.0, 0.5]],
    "outside": [[1.0, 0.5], [1.0, 0.5]],
}


def network(name: str) -> Flow:
    """The kernel of that name, divided by the weights ½, with a = B(½, −0.3), but a = (0.6, −½) if "outside"."""
    B = KernelOperator.of(2.0 * np.array(KERNELS[name]), WIDTH)
    return Flow.selection(ocdl.Tanh(), OUTSIDE if name == "outside" else B(REST), B, horizon=40.0)


flows = {name: network(name) for name in KERNELS}
portraits = {name: phase_portrait(flow) for name, flow in flows.items()}

# From both sides of the saddle's stable manifold, 1e-3 from it.
curve = portraits["saddle"].stable[0]
here = curve[np.searchsorted(np.linalg.norm(curve - REST, axis=1), 1.0)]
across = portraits["saddle"].unstable[0][1] - REST
sides = here + 1e-3 * np.outer([1.0, -1.0], across / np.linalg.norm(across))
parted = flows["saddle"].evolve(sides)

# The slope of f, measured and predicted.
(goal,) = equilibria(flows["outside"], starts=10)
end = flows["outside"].evolve(REST, times=[30.0, 40.0]).x[:, 0]
slope = (end[1] - end[0]) / 10.0


def draw(flows, parted):
    """The six portraits, each with an evolution."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 8), constrained_layout=True)
    for (name, flow), ax in zip(flows.items(), axes.ravel(), strict=True):
        t = np.linspace(0.0, 40.0, 800)
        evolution = parted if name == "saddle" else flow.evolve(np.array([1.8, 1.2]), times=t)
        ocdl.plot_phase_portrait(flow, evolutions=[evolution], axes=ax)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    for name, portrait in portraits.items():
        print(f"{name:>9}: ω = {np.round(portrait.linear.eigenvalues, 6)}, {portrait.kind}")
    print(f"from both sides of the stable manifold: {np.round(parted.x[-1], 2).tolist()}")
    print(f"no steady state: slope of f {slope}, σ(u_e) = {goal.velocity}")
    draw(flows, parted).savefig("phase_portrait.png", dpi=110)
