"""Do residual networks converge as their layers double, and to what?

ẏ = tanh(Ky + β) with three channels, y(0) = (ξ, 0, 0), is to take ξ to sin ξ; K, β as functions of the depth and the
readout cost (λ/2)(∫|K|² + |β|² dt + |W|² + μ²). The network of N Euler layers is one discretisation, the one of Heun's
layers another. They converge if the same minimiser is followed: each net is trained, to a gradient of 1e-11, from the
controls of a far finer one, which was itself grown from few layers.

Its controls are smooth but for jumps: the Hamiltonian of a layer is not convex in its controls, and at some depths they
go over from one of its valleys to another. Where they do is arbitrary, and every choice a local minimum of its own.
Grown from 5 layers the jumps lie on nodes that all nets have; those of a net of 20 layers, trained from a draw for each
of them, lie on nodes that 5 and 10 layers do not have, and these converge to something else. Errors of controls are
those of their means over layers, in L² of the depth, and of states the largest along the depth, in L² of the samples.

``python examples/resnet_limit.py`` goes to 160 layers, prints the table and saves ``resnet_limit.png``.
"""

import numpy as np

import ocdl

SAMPLES = 40
SCHEMES = (ocdl.ExplicitEuler, ocdl.ImprovedEuler)
COLUMNS = ("loss", "controls", "states", "readout")


def problem() -> ocdl.ControlProblem:
    xi = np.linspace(-np.pi, np.pi, SAMPLES)
    return ocdl.network(
        ocdl.Residual(),
        xi[:, None],
        np.sin(xi),
        channels=3,
        readout=ocdl.Readout(link=ocdl.IdentityLink()),
        regulariser=ocdl.Tikhonov(1e-3),
    )


SINE = problem()


def limit(layers: int, coarsest: int, distinct: int) -> ocdl.Solution:
    """Trained with ``coarsest`` layers, which start from so many ``distinct`` draws, and grown to ``layers``."""
    draw = np.random.default_rng(1)
    kernels = np.repeat(draw.standard_normal((distinct, 3, 3)), coarsest // distinct, axis=0)
    start = {"K": kernels, "W": draw.standard_normal((1, 3))}
    how = {"coarse": ocdl.Train(), "coarsest": coarsest, "start": start, "certificate": "first order"}
    return ocdl.sequence(SINE, ocdl.Kutta4(layers), ocdl.NewtonCG(), **how)


def controls(solution: ocdl.Solution, layers: int) -> np.ndarray:
    """Means of K and β over so many equal layers, (layers, 12)."""
    rows = [solution.controls[name].values for name in ("K", "beta")]
    rows = np.concatenate([row.reshape(len(row), -1) for row in rows], axis=1)
    return rows.reshape(layers, -1, rows.shape[1]).mean(axis=1)


def errors(net: ocdl.Solution, finest: ocdl.Solution) -> tuple[float, ...]:
    """Of loss, controls, states and readout."""
    layers = net.state.sizes["t"] - 1
    apart = controls(net, layers) - controls(finest, layers)
    states = (net.state - finest.state.sel(t=net.state["t"], method="nearest")).values
    readout = [abs(net.parameters[name] - finest.parameters[name]).max().item() for name in ("W", "mu")]
    return (
        abs(net.cost - finest.cost),
        float(np.sqrt(np.mean(np.sum(apart**2, axis=1)))),
        float(np.sqrt(np.mean(np.sum(states**2, axis=2), axis=1)).max()),
        max(readout),
    )


def converged(counts: list[int], finest: ocdl.Solution) -> dict[str, np.ndarray]:
    """Errors (counts, 4) of both schemes."""
    found = {}
    for scheme in SCHEMES:
        how = {"start": finest, "certificate": "first order"}
        nets = [ocdl.solve(SINE, scheme(count), ocdl.NewtonCG(), **how) for count in counts]
        found[scheme.__name__] = np.array([errors(net, finest) for net in nets])
    return found


def jumps(solution: ocdl.Solution) -> np.ndarray:
    """By how much the controls change from layer to layer."""
    return np.linalg.norm(np.diff(controls(solution, solution.controls["K"].sizes["t"]), axis=0), axis=1)


def study(counts: list[int]) -> tuple[dict[str, ocdl.Solution], dict[str, dict[str, np.ndarray]]]:
    """The limits, and the errors on the way to them."""
    fine = 4 * counts[-1]
    limits = {"grown from 5 layers": limit(fine, 5, 1), "found by 20 layers": limit(fine, 20, 20)}
    return limits, {name: converged(counts, finest) for name, finest in limits.items()}


COUNTS = [5, 10, 20, 40]
limits, rows = study(COUNTS)


def draw(counts, limits, rows):
    """Loss, controls and states of both branches, and a control of both."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 4), constrained_layout=True)
    for (branch, of), style in zip(rows.items(), ("-", ":"), strict=True):
        for place, (scheme, table) in enumerate(of.items()):
            for axis, column, name in zip(axes[:3], table.T[:3], COLUMNS[:3], strict=True):
                order = np.log2(column[-2] / column[-1])
                label = f"{scheme}, {branch}: order {order:.2f}"
                axis.loglog(counts, column, "o" + style, color=f"C{place}", ms=4, label=label)
                axis.set(title=f"error of the {name}", xlabel="layers", xticks=counts, xticklabels=counts)
                axis.minorticks_off()
        values = limits[branch].controls["K"][:, 0, 0].values
        depths = np.linspace(0.0, 1.0, values.size + 1)
        axes[3].stairs(values, depths, baseline=None, color="k", ls=style, label=branch)
    axes[3].set(title="K₁₁ of the finest", xlabel="depth t")
    for axis in axes:
        axis.legend(fontsize=6)
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    COUNTS = [5, 10, 20, 40, 80, 160]
    limits, rows = study(COUNTS)
    for branch, of in rows.items():
        largest = jumps(limits[branch])
        node = (int(largest.argmax()) + 1) / (largest.size + 1)
        print(f"{branch}: J = {limits[branch].cost:.9f}, the largest jump {largest.max():.2f} at t = {node:g}")
        for scheme, table in of.items():
            print(f"{scheme:>14} " + " ".join(f"{name:>10} order" for name in COLUMNS))
            orders = np.vstack([np.full(len(COLUMNS), np.nan), np.log2(table[:-1] / table[1:])])
            for count, line, order in zip(COUNTS, table, orders, strict=True):
                print(f"{count:14d} " + " ".join(f"{e:10.2e} {o:5.2f}" for e, o in zip(line, order, strict=True)))
    draw(COUNTS, limits, rows).savefig("resnet_limit.png", dpi=110)
