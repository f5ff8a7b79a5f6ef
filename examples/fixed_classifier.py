"""Does a fixed classifier cost anything?

The same four nets, with W and μ trained, or fixed at W = (4, 0), μ = 0, so that only the transformation is learnt:
Benning et al. (2019), figure 4, "a scaling of the points and a fuzzier classification is equivalent to leaving the
points where they are and a sharper classification". With Tikhonov, under which moving the points is not free: on
donut1d it costs less than a point of test accuracy in any net, and it reproduces. On the spiral it costs ODENet
nothing, simplex 2 points, and the ResNet, whose steps are short, 10; the Net gains by it, from a start that suits it
better.

``python examples/fixed_classifier.py`` computes it in full and saves ``fixed_classifier.png``.
"""

import numpy as np

import ocdl

LAYERS = 20
NETS = {
    "Net": ocdl.Plain(),
    "ResNet": ocdl.Residual(),
    "ODENet": ocdl.ODENet(),
    "simplex": ocdl.ODENet(steps="simplex"),
}
W, MU = np.array([[4.0, 0.0]]), np.zeros(1)
READOUTS = {"trained": ocdl.Readout(), "fixed": ocdl.Readout(weight=(W, W), bias=(MU, MU))}
DEPTH = ocdl.ExplicitEuler(LAYERS)


def trained(architecture: ocdl.Architecture, readout: ocdl.Readout, samples: ocdl.Samples, seed: int, iterations: int):
    """The problem and its solution from K ~ N(0, 1), β = 0, equal time steps and the fixed classifier."""
    horizon = float(LAYERS) if architecture.discrete else 1.0
    penalty = ocdl.Tikhonov(1e-4 / horizon)
    problem = ocdl.network(
        architecture, samples.inputs, samples.labels, readout=readout, regulariser=penalty, horizon=horizon
    )
    K = np.random.default_rng(seed).standard_normal((LAYERS, 2, 2))
    start = {"K": K, "beta": np.zeros((LAYERS, 2)), "W": W, "mu": MU}
    start |= {"alpha": np.ones(LAYERS)} if isinstance(architecture, ocdl.ODENet) else {}
    method = ocdl.LBFGS(max_iterations=iterations)
    found = ocdl.solve(problem, DEPTH, method, start=start, certificate="first order", on_failure="return")
    return problem, found


def run(sets: dict, seed: int, iterations: int) -> list[tuple]:
    """Set, net, classifier, J, training and test accuracy, and what draws it."""
    found = []
    for of, (train, test) in sets.items():
        for name, architecture in NETS.items():
            for which, readout in READOUTS.items():
                problem, solution = trained(architecture, readout, train, seed, iterations)
                seen, unseen = (
                    ocdl.accuracy(ocdl.predict(problem, DEPTH, solution, part.inputs), part.labels)
                    for part in (train, test)
                )
                found.append((of, name, which, solution.cost, seen, unseen, (problem, solution, test)))
    return found


rows = run({"donut1d": ocdl.donut1d(count=100)}, 1, 100)


def draw(rows: list[tuple]):
    """The features behind the last layer with the fixed classifier: a row a set, a column a net."""
    import matplotlib.pyplot as plt

    fixed = [row for row in rows if row[2] == "fixed"]
    sets = len(fixed) // len(NETS)
    figure, axes = plt.subplots(sets, len(NETS), figsize=(14, 3.4 * sets), constrained_layout=True, squeeze=False)
    for place, (of, name, *_, (problem, solution, test)) in zip(axes.ravel(), fixed, strict=True):
        title = f"{of}, {name}, layer {{layer}}"
        ocdl.plot_features(problem, DEPTH, solution, test, layers=[LAYERS], title=title, axes=place)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = run({"donut1d": ocdl.donut1d(), "spiral": ocdl.spiral()}, 1, 1000)
    print(f"{'set':>8} {'net':>8} {'W, μ':>8} {'J':>9} {'training':>9} {'test':>7}")
    for of, name, which, cost, seen, unseen, _ in full:
        print(f"{of:>8} {name:>8} {which:>8} {cost:9.5f} {seen:9.1%} {unseen:7.1%}")
    draw(full).savefig("fixed_classifier.png", dpi=90)
