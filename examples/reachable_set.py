"""What can a network of few neurons make of one input, and what is it proven that it cannot?

∂t f = tanh(a − ∫ b f dz), f(·, 0) = x⁰, with a and b in boxes. All velocities that some a and b give one input are a
box, [σ(s⁻(f)), σ(s⁺(f))]^M. A curve whose velocities stay inside is a trajectory, so that a polygon proves a target
reached by finitely many inequalities; and a target is out of reach where the velocities leave no states on the way to
it. No third thing is needed: of seven targets none is left open.

Two neurons make an hourglass, which is not convex: the second has no say but its size |f₂|, which speeds the first up.
Where f₂ is to end at 0 it makes an excursion, out and back, for the first's sake, and no further than it can return.

``python examples/reachable_set.py`` draws with smaller cells, prints the verdicts and saves ``reachable_set.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import componentwise, reachable, reachable_set


def problem(neurons: int, horizon: float = 1.0) -> ocdl.SelectionProblem:
    """All see the last neuron alone, with weights in [−4, 4], and it is free; a single one has b in [−½, ½]."""
    last = np.zeros((neurons, neurons))
    last[: max(1, neurons - 1), -1] = 4.0 * neurons if neurons > 1 else 0.5
    reach = np.append(np.full(neurons - 1, 0.2), 1.0)
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=horizon,
        initial=np.zeros(neurons) if neurons > 1 else [0.5],
        target=0.0,
        bounds=ocdl.Box(a=(-reach, reach), b=(-last, last)),
    )


TARGETS = {
    1: [[1.2], [-0.5]],
    2: [[0.6, 0.0], [0.75, 0.0], [0.75, 0.6]],
    3: [[0.5, -0.4, 0.1], [0.7, 0.7, 0.0]],
}
TITLES = {1: "1 neuron", 2: "2 neurons", 3: "3 neurons, projected"}
CELLS = {1: 100, 2: 21, 3: 7}
sets = {M: reachable_set(problem(M), ocdl.Midpoint(M), cells=CELLS[M]) for M in TARGETS}
verdicts = {M: [reachable(problem(M), ocdl.Midpoint(M), c, layers=6, searches=8) for c in TARGETS[M]] for M in TARGETS}
boxes = {M: componentwise(problem(M), ocdl.Midpoint(M)) for M in TARGETS}


def draw(sets, verdicts):
    """One neuron over depth, two in the plane, three in projections."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 5, figsize=(19, 4.6), constrained_layout=True)
    for row, M in ((axes[:1], 1), (axes[1:2], 2), (axes[2:], 3)):
        ocdl.plot_reachable(sets[M], targets=verdicts[M], title=TITLES[M], axes=row)
    for axis in axes:
        if axis.get_legend():
            axis.get_legend().remove()
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    sets = {M: reachable_set(problem(M), ocdl.Midpoint(M), cells=count) for M, count in {1: 400, 2: 61, 3: 15}.items()}
    for M, row in verdicts.items():
        inner, outer = sets[M].volumes
        box = boxes[M]
        print(f"{M} neurons: volume between {inner:.4f} and {outer:.4f}; attained bounds: {box.exact.sum()} of {2 * M}")
        for one in row:
            print(f"  {one.target}: {one.verdict} within {one.margin:.2g}, nearest end {one.distance:.1e} away")
    draw(sets, verdicts).savefig("reachable_set.png", dpi=110)
