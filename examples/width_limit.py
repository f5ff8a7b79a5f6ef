"""Do networks converge as their neurons double, and how fast?

∂t f = tanh(a − ∫ b(y, z, t) f(z, t) dz) for four samples, y ∈ [0, 1], with Tikhonov's λ in function space, on 5 Euler
layers. A quadrature in width makes neurons of nodes y_i and weights b(y_i, z_j) w_j; a doubled net begins at the one
before. Then loss, a and b converge at the order of the quadrature: 2 for midpoints and trapezoids, faster than any
for Gauss's points, since all is smooth in y. Errors are in L² of y, z and t.

Nothing is left free: without λ, b(y, ·) could be anything orthogonal to the samples' states; with it, it lies in their
span, and b has the rank of the samples. The neurons of a smaller λ go over from one valley of their Hamiltonian to
another at some y: a jumps there, and only where all grids allow the same jump would controls converge.

``python examples/width_limit.py`` goes to 32 neurons, prints the tables and saves ``width_limit.png``.
"""

import numpy as np
from scipy.interpolate import BarycentricInterpolator

import ocdl
from ocdl.analysis import thermodynamic_limit

RULES = (ocdl.Midpoint, ocdl.Trapezoid, ocdl.GaussLegendre)
LAYERS = 5
COLUMNS = ("loss", "a", "b")


def problem(weight: float = 0.1) -> ocdl.SelectionProblem:
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: np.stack([np.sin(np.pi * y), np.cos(2 * np.pi * y), y**2, 1 - y]),
        target=lambda y: np.stack([np.cos(np.pi * y), 0.5 * np.sin(2 * np.pi * y), 1 - y, 0 * y + 0.5]),
        regulariser=ocdl.Tikhonov(weight),
    )


def doubled(rule: type, counts: list[int], weight: float = 0.1) -> list[ocdl.Solution]:
    """Nets of so many nodes, each trained to a gradient of 1e-11 from the one before."""
    grids = [ocdl.Grid(rule(count), ocdl.ExplicitEuler(LAYERS)) for count in counts]
    first = ocdl.Train(tolerance=1e-11)
    return list(thermodynamic_limit(problem(weight), grids, ocdl.NewtonCG(), first=first).solutions)


def errors(rule: type, net: ocdl.Solution, finest: ocdl.Solution) -> tuple[float, float, float]:
    """Of loss, a and b against a net on Gauss's points, whose polynomials in y and z are taken for the limit."""
    y, fine = net.controls["a"]["y"].values, finest.controls["a"]["y"].values
    weights = rule(y.size).on((0, 1)).weights
    a, b = (finest.controls[name].values for name in ("a", "b"))
    for axis in (1, 2):
        b = BarycentricInterpolator(fine, b, axis=axis)(y)
    in_a = (net.controls["a"].values - BarycentricInterpolator(fine, a, axis=1)(y)) ** 2
    in_b = (net.controls["b"].values - b) ** 2
    of_b = np.einsum("tyz,y,z->t", in_b, weights, weights)
    return abs(net.cost - finest.cost), float(np.sqrt(np.mean(in_a @ weights))), float(np.sqrt(np.mean(of_b)))


def rank(net: ocdl.Solution) -> int:
    """Of the kernels b, by their singular values."""
    return int(np.linalg.matrix_rank(net.controls["b"].values, tol=1e-9).max())


def jump(net: ocdl.Solution) -> float:
    """The largest change of a from neuron to neuron."""
    return float(np.abs(np.diff(net.controls["a"].values, axis=1)).max())


def study(counts: list[int], fine: int) -> tuple[ocdl.Solution, dict[str, list[ocdl.Solution]], dict[str, np.ndarray]]:
    """The limit, nets of all rules, and their errors (counts, 3)."""
    nets = {rule: doubled(rule, counts) for rule in RULES}
    finest = doubled(ocdl.GaussLegendre, [8, 16, fine])[-1]
    rows = {rule.__name__: np.array([errors(rule, net, finest) for net in of]) for rule, of in nets.items()}
    return finest, {rule.__name__: of for rule, of in nets.items()}, rows


COUNTS = [4, 8, 16]
FINE = 32
finest, nets, rows = study(COUNTS, FINE)
rough = [jump(net) for net in doubled(ocdl.Midpoint, [4, 8, 16], weight=0.01)]


def draw(counts, finest, rows):
    """Errors of loss, a and b, and b itself in the last layer."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 4), constrained_layout=True)
    for rule, table in rows.items():
        for axis, column, name in zip(axes[:3], table.T, COLUMNS, strict=True):
            order = np.log2(column[-2] / column[-1])
            axis.loglog(counts, column, "o-", ms=4, label=f"{rule}, order {order:.1f}")
            axis.set(title=f"error of {name}", xlabel="neurons", xticks=counts, xticklabels=counts)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            axis.legend(fontsize=8)
    y = finest.controls["a"]["y"].values
    image = axes[3].pcolormesh(y, y, finest.controls["b"].values[-1], cmap="RdBu_r", shading="gouraud")
    figure.colorbar(image, ax=axes[3])
    axes[3].set(title="b(y, z) in the last layer", xlabel="z", ylabel="y")
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    COUNTS, FINE = [4, 8, 16, 32], 72
    finest, nets, rows = study(COUNTS, FINE)
    for rule, table in rows.items():
        print(f"{rule:>14} " + " ".join(f"{name:>10} order" for name in COLUMNS) + "  rank of b")
        orders = np.vstack([np.full(len(COLUMNS), np.nan), np.log2(table[:-1] / table[1:])])
        for net, line, order in zip(nets[rule], table, orders, strict=True):
            count = net.controls["a"].sizes["y"]
            print(
                f"{count:14d} " + " ".join(f"{e:10.2e} {o:5.2f}" for e, o in zip(line, order, strict=True)), rank(net)
            )
    smooth = [jump(net) for net in nets["Midpoint"]]
    rough = [jump(net) for net in doubled(ocdl.Midpoint, COUNTS, weight=0.01)]
    print(f"largest change of a from neuron to neuron, {COUNTS}: λ = 0.1 {smooth}, λ = 0.01 {rough}")
    draw(COUNTS, finest, rows).savefig("width_limit.png", dpi=110)
