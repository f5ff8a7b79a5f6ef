"""Which time steps are learnt?

ẏ = α tanh(Ky + β) in 20 layers, α free or on a simplex, ∫ α dt = 1: Benning et al. (2019), figure 8. "ODENet chooses
both negative and positive time steps [...] these are all non-zero. In contrast, ODENet+Simplex picks a few time steps
(two or three) and sets the rest to zero." On four sets from three seeds, Tikhonov 1e-4: ODENet has 1 to 7 negative
steps in every case and none that is 0 but for two or so on one spiral; simplex picks 3 to 6, in the median 4, and the
others are below 1e-6. Both reproduce, the second with one step or two more.

``python examples/learnt_time_steps.py`` computes it in full and saves ``learnt_time_steps.png``.
"""

import numpy as np

import ocdl

LAYERS = 20
DEPTH = ocdl.ExplicitEuler(LAYERS)
NETS = {"ResNet": ocdl.Residual(), "ODENet": ocdl.ODENet(), "simplex": ocdl.ODENet(steps="simplex")}
SETS = {"donut1d": ocdl.donut1d, "donut2d": ocdl.donut2d, "squares": ocdl.squares, "spiral": ocdl.spiral}


def trained(architecture: ocdl.Architecture, samples: ocdl.Samples, seed: int, iterations: int) -> ocdl.Solution:
    """The solution from K, W ~ N(0, 1), β = μ = 0 and equal time steps."""
    problem = ocdl.network(architecture, samples.inputs, samples.labels, regulariser=ocdl.Tikhonov(1e-4))
    draw = np.random.default_rng(seed)
    K, W = draw.standard_normal((LAYERS, 2, 2)), draw.standard_normal((1, 2))
    start = {"K": K, "beta": np.zeros((LAYERS, 2)), "W": W, "mu": np.zeros(1)}
    start |= {"alpha": np.ones(LAYERS)} if isinstance(architecture, ocdl.ODENet) else {}
    method = ocdl.LBFGS(max_iterations=iterations)
    return ocdl.solve(problem, DEPTH, method, start=start, certificate="first order", on_failure="return")


def steps(solution: ocdl.Solution) -> np.ndarray:
    """h α of every layer."""
    return solution["alpha"].values / LAYERS


def run(names: list[str], seeds: range, iterations: int, **sizes) -> list[tuple]:
    """Set, seed, and the solutions of the nets by name."""
    found = []
    for name in names:
        for seed in seeds:
            train, _ = SETS[name](seed=seed, **sizes)
            found.append((name, seed, {net: trained(of, train, seed, iterations) for net, of in NETS.items()}))
    return found


rows = run(["spiral"], range(1, 2), 300, count=150)


def draw(rows: list[tuple]):
    """The time steps of the first seed, a panel a set."""
    import matplotlib.pyplot as plt

    first = [row for row in rows if row[1] == rows[0][1]]
    figure, axes = plt.subplots(2, -(-len(first) // 2), figsize=(13, 7), constrained_layout=True, squeeze=False)
    for place, (name, _, solutions) in zip(axes.ravel(), first, strict=False):
        ocdl.plot_steps(solutions, title=f"{name}: time steps", axes=place)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = run(list(SETS), range(1, 4), 1000)
    print(f"{'set':>8} seed {'free: negative':>15} {'largest':>8} {'least':>8} {'simplex: not 0':>15} {'largest':>8}")
    for name, seed, solutions in full:
        free, simplex = steps(solutions["ODENet"]), steps(solutions["simplex"])
        print(
            f"{name:>8} {seed:4d} {np.sum(free < 0):15d} {np.max(np.abs(free)):8.2f} {np.min(np.abs(free)):8.0e} "
            f"{np.sum(simplex > 1e-6):15d} {simplex.max():8.2f}"
        )
    draw(full).savefig("learnt_time_steps.png", dpi=90)
