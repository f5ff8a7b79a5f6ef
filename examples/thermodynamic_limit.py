"""What do networks become as their layers and neurons double, and when is it not what their coefficients become?

z_{l+1} = z_l + τ σ(a_l − B_l z_l) → ∂t f = σ(a(y, t) − ∫ b(y, z, t) f(z, t) dz), f(y, 0) = f_I(y), as τ → 0, Theorem
2.1, and as the cells of y shrink, Theorem 2.2, if all is bounded and a, b and f_I converge almost everywhere. They may
jump: in L² of y the order is then ½ where it would be 1, and that of ∫ f g dy for smooth g is 1 and not 2. Trained
controls obey too, each net trained from the one before.

Where coefficients converge weakly only, networks may still converge, but to something else: if a alternates between 0
and 2 from layer to layer, f moves at the mean of two velocities, and not at the velocity of the mean, 1; if it
alternates from cell to cell, f_h oscillates as a does, with a limit as a distribution and none in L². Convergence
almost everywhere excludes both.

``python examples/thermodynamic_limit.py`` prints the tables and saves ``thermodynamic_limit.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import thermodynamic_limit

SMOOTH = {"a": lambda t, y: np.sin(4 * y + t), "b": lambda t, y, z: np.cos(y - 2 * z * t)}
JUMPS = {"a": lambda t, y: np.where(y < 1 / 3, 1.0, -1.0), "b": lambda t, y, z: np.where(y > z, 1.0, -1.0)}
COUNTS = (8, 16, 32, 64)
FIXED = 8  # layers where the neurons double, and neurons where the layers do


def problem(initial, activation=None):
    return ocdl.SelectionProblem(activation=activation or ocdl.Tanh(), horizon=1.0, initial=initial, target=0.0)


def grids(deep, wide, counts=COUNTS):
    """Midpoints' cells and Euler's layers: those that double, and else ``FIXED`` of them."""
    return [ocdl.Grid(ocdl.Midpoint(n if wide else FIXED), ocdl.ExplicitEuler(n if deep else FIXED)) for n in counts]


def alternating(size):
    return 1.0 + (-1.0) ** np.arange(size)


def by_layer(grid):
    """a = 2, 0, 2, ... from layer to layer, with the mean 1."""
    return {"a": np.tile(alternating(grid.depth.layers)[:, None], grid.width.size), "b": 0.5}


def by_cell(grid):
    """a = 2, 0, 2, ... from cell to cell, with the mean 1."""
    return {"a": np.tile(alternating(grid.width.size), (grid.depth.layers, 1)), "b": 0.5}


def trained():
    """Neurons double: two samples are to become two others."""
    statement = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: np.stack([np.sin(np.pi * y), y**2]),
        target=lambda y: np.stack([np.cos(np.pi * y), 1 - y]),
        regulariser=ocdl.Tikhonov(0.3),
    )
    sizes = [ocdl.Grid(ocdl.Midpoint(n), ocdl.ExplicitEuler(2)) for n in COUNTS[:3]]
    return thermodynamic_limit(statement, sizes, ocdl.NewtonCG(), first=ocdl.Train(tolerance=1e-10))


def study():
    """The limits by name, and those of the mean coefficients."""
    wave, step = problem(lambda y: np.sin(3 * y)), problem(lambda y: np.where(y < 1 / 3, 1.0, 0.0))
    still, sigmoid = problem(0.0), problem(0.0, ocdl.Sigmoid())
    limits = {
        "layers": thermodynamic_limit(wave, grids(True, False), controls=SMOOTH),
        "neurons": thermodynamic_limit(wave, grids(False, True), controls=SMOOTH),
        "both": thermodynamic_limit(wave, grids(True, True), controls=SMOOTH),
        "neurons, jumps": thermodynamic_limit(step, grids(False, True), controls=JUMPS),
        "neurons, trained": trained(),
        "alternating layers": thermodynamic_limit(still, grids(True, False), controls=by_layer),
        "alternating cells": thermodynamic_limit(sigmoid, grids(False, True), controls=by_cell),
    }
    mean = {"a": 1.0, "b": 0.5}
    means = {
        "alternating layers": thermodynamic_limit(still, grids(True, False), controls=mean),
        "alternating cells": thermodynamic_limit(sigmoid, grids(False, True), controls=mean),
    }
    return limits, means


def end(limit):
    """∫ f(y, T) dy in the limit."""
    return limit.extrapolated["moments"].values[0, 0]


limits, means = study()


def draw(limits, means):
    """Distances of given and trained controls, states with a jump, and both ways of going elsewhere."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(16, 4.2), constrained_layout=True)
    for k, name in enumerate(["layers", "neurons", "both", "neurons, jumps", "neurons, trained"]):
        limit = limits[name]
        finer = [1.0 / level.spacing if "neurons" in name else level.layers for level in limit.levels[1:]]
        axes[0].loglog(
            finer,
            limit.distance,
            "o-",
            ms=4,
            color=f"C{k}",
            label=f"{name}: {limit.orders[-1]:.2f}",
            lw=3 if name == "both" else 1,
            alpha=0.5 if name == "both" else 1,
        )
        if "neurons" in name:
            weak = f"{name}, weakly: {limit.weak_orders[-1]:.2f}"
            axes[0].loglog(finer, limit.weak_distance, "s:", ms=4, color=f"C{k}", label=weak)
    axes[0].set(title="distance from the coarser net, order", xlabel="layers or neurons", ylabel="distance")
    axes[0].set(xticks=COUNTS[1:], xticklabels=COUNTS[1:], ylim=(1e-6, 1.0))
    axes[0].minorticks_off()
    for axis, name, count in ((axes[1], "neurons, jumps", 4), (axes[3], "alternating cells", 2)):
        for level, shade in zip(limits[name].levels[:count], ("0.7", "C0", "C1", "k"), strict=False):
            edges = np.linspace(0.0, 1.0, level.weights.size + 1)
            axis.stairs(level.x[-1, 0], edges, baseline=None, color=shade, label=f"{level.weights.size} neurons")
        axis.set(title=f"{name}: f(y, T)", xlabel="y", ylabel="f")
    axes[3].set(ylim=(0.4, 1.05))
    axes[3].axhline(end(limits["alternating cells"]), color="C2", ls="--", label="weak limit, mean over y")
    axes[3].axhline(end(means["alternating cells"]), color="C3", ls=":", lw=2, label="solution for the mean a")
    for level, shade in zip(limits["alternating layers"].levels, ("0.7", "C0", "C1", "k"), strict=True):
        axes[2].plot(level.t, level.x[:, 0, 0], color=shade, label=f"{level.layers} layers")
    finest = means["alternating layers"].levels[-1]
    axes[2].plot(finest.t, finest.x[:, 0, 0], "C3:", lw=2, label="solution for the mean a")
    axes[2].set(title="alternating layers: f(t)", xlabel="depth t", ylabel="f")
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    for name, limit in limits.items():
        print(f"\n{name}\n{limit}")
    for name, mean in means.items():
        print(f"{name}: ∫ f(y, T) dy → {end(limits[name]):.6f}, and {end(mean):.6f} for the mean of a")
    draw(limits, means).savefig("thermodynamic_limit.png", dpi=110)
