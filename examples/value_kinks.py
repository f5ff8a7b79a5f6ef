"""On which side are the kinks of a value function, and between which bounds does V lie?

∂t f = tanh(a − ∫ b f dz) on two cells, |a| ≤ 1, |b| ≤ 1, T = 1, target (0, 1.2): ``problems/two_neurons.py``. The first
neuron can make its excursion upwards or downwards, and where both cost the same V = min of two smooth functions has a
concave kink, f₁ = 0. There q_t + H(q) ≥ 0 for every q = (∂_tV, ∇V) between the slopes of both sides, as a viscosity
solution must. The residual ∂_tV + H vanishes elsewhere with the grid; what it lacks of being ≥ 0, added up over depth,
bounds V from below, and the cost of a rollout from above.

Planted: |x| − (T − t) solves ∂_tV = |∂_xV| almost everywhere, as does V = max(|x| − (T − t), 0) of the loss |x| for
x' = u, |u| ≤ 1. Its kink is convex, and between its slopes q_t + H = 1 − |q_x| > 0 where nothing above 0 is allowed.

``python examples/value_kinks.py`` prints a table and saves ``value_kinks.png``.
"""

import numpy as np

import ocdl

SLICE = -0.5  # of the second neuron, from which the first one's start is varied


def neurons() -> ocdl.ControlProblem:
    statement = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=[0.02, SLICE],
        target=[0.0, 1.2],
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )
    return statement.discretise(ocdl.Midpoint(2))


def table(nodes: int) -> ocdl.ValueFunction:
    """V on a domain wide enough that no flow that matters is stopped at its edge."""
    return ocdl.ValueIteration(nodes=nodes, domain=(-2.4, 2.4)).value_function(neurons())


def planted() -> ocdl.ValueFunction:
    """|x| − (1 − t) as a table."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.3], horizon=1.0, terminal=lambda x: abs(x[0]), bounds=ocdl.Box(u=(-1, 1))
    )
    grid = ocdl.ValueIteration(nodes=81, domain=(-2, 2), steps=20).value_function(problem).to_array()
    return ocdl.ValueFunction.from_array(
        grid.copy(data=(abs(grid["f0"]) - (1 - grid["t"])).transpose("t", "f0")), problem
    )


def along(value: ocdl.ValueFunction, count: int = 25):
    """Bounds on both sides of V along the slice, at depth 0."""
    first = np.linspace(-0.6, 0.6, count)
    return ocdl.hjb.two_sided(value, np.stack([first, np.full(count, SLICE)], axis=-1), steps=32)


COUNTS = (31, 61, 121)
tables = [table(nodes) for nodes in COUNTS]
fields = [ocdl.hjb.residual(value) for value in tables]
found = [ocdl.hjb.kinks(value) for value in tables]
wrong = ocdl.hjb.kinks(planted())
bounds = along(tables[-1])
verdict = ocdl.hjb.verified(tables[-1], [0.4, SLICE], tolerance=5e-3, steps=32)


def draw():
    """The residual and the kinks at depth 0; V between its bounds; q_t + H across a concave and a convex kink."""
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.4), constrained_layout=True)
    field = abs(fields[-1].field.isel(t=0))
    image = left.pcolormesh(
        field["f0"], field["f1"], np.log10(field.values.T + 1e-8), cmap="viridis", vmin=-6, rasterized=True
    )
    figure.colorbar(image, ax=left, label="log₁₀ |∂ₜV + H|")
    t, x = found[-1].places
    left.plot(*x[t == 0.0].T, ".", color="tab:red", ms=3, label="concave kink")
    left.set(title="residual at depth 0", xlabel="f₁", ylabel="f₂", xlim=(-1.5, 1.5), ylim=(-2.2, 2.2))
    left.legend(loc="upper right")
    middle.fill_between(
        bounds["f0"], bounds["lower"], bounds["upper"], color="tab:blue", alpha=0.25, label="between its bounds"
    )
    middle.plot(bounds["f0"], bounds["value"], color="tab:blue", label="V of the table")
    middle.plot(bounds["f0"], bounds["upper"], ".", color="tab:orange", label="cost of a rollout")
    middle.set(title=f"V between its bounds, f₂ = {SLICE}", xlabel="f₁", ylabel="V(f, 0)")
    middle.set_ylim(0.16, 0.189)
    middle.legend(loc="upper right", fontsize=8)
    s = np.linspace(0.0, 1.0, wrong.test.shape[1])
    right.axhline(0.0, color="0.6", lw=0.8)
    t, x = found[-1].places
    here = int(np.argmin(np.abs(t) + np.abs(x[:, 1] - SLICE)))
    right.plot(s, 100 * found[-1].test[here], "o-", color="tab:blue", label="concave, two neurons, × 100: ≥ 0, allowed")
    right.plot(s, wrong.test[0], "s-", color="tab:red", label="convex, planted: ≤ 0 is needed, violated")
    right.set(title="between the slopes of both sides", xlabel="from one slope to the other", ylabel="q_t + H(q)")
    right.set_ylim(-0.2, 4.6)
    right.legend(loc="upper center", fontsize=9)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(f"{'nodes':>6} {'mean |R|':>10} {'max, no kinks':>14} {'concave':>8} {'convex':>7} {'violated':>9}")
    for nodes, field, one in zip(COUNTS, fields, found, strict=True):
        concave, violated = int(one.concave.sum()), int(one.violated.sum())
        print(
            f"{nodes:6d} {field.mean:10.2e} {field.largest:14.2e} {concave:8d} {one.count - concave:7d} {violated:9d}"
        )
    print(bounds.to_dataframe()[["f0", "lower", "value", "upper"]].iloc[::4].to_string(index=False))
    print(verdict, verdict.finding, wrong.finding, sep="\n")
    draw().savefig("value_kinks.png", dpi=110)
