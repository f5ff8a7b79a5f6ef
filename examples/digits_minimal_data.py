"""Do the nets learn digits from a hundred images?

0 against 8 of scikit-learn's 8 × 8 digits, 64 channels and 20 layers, 100 images to learn from and 252 to be tested
on: the setting of Benning et al. (2019), section 5.4, figures 14 and 15 (there MNIST, 28 × 28, tested on 500). K ~
N(0, 1/64), so that tanh is not saturated at the start; Tikhonov 1e-4.

The paper: "the three ODE-inspired methods seem to perform very well, both on training and test data", ODENet learns
negative time steps and ODENet+simplex very sparse ones, and "only the ODE-inspired networks retain some of the
structure of the input". Here all four, the plain net too, predict all test images rightly. The last features
correlate with the image by 0.72 to 0.82 in the ODE-inspired nets and by 0.05 in the plain one: that reproduces. The
time steps do not: of ODENet's none is negative, and of the simplex 7 of 20 are 0.

``python examples/digits_minimal_data.py`` computes it in full and saves ``digits_curves.png`` and
``digits_images.png``."""

import numpy as np

import ocdl

NETS = {
    "Net": ocdl.Plain(),
    "ResNet": ocdl.Residual(),
    "ODENet": ocdl.ODENet(),
    "simplex": ocdl.ODENet(steps="simplex"),
}


def trained(architecture: ocdl.Architecture, samples: ocdl.Samples, layers: int, seed: int):
    """The problem, its depth scheme and where to begin: W ~ N(0, 1/n), β = μ = 0, equal time steps."""
    n = samples.inputs.shape[1]
    horizon = float(layers) if architecture.discrete else 1.0
    penalty = ocdl.Tikhonov(1e-4 / horizon)
    problem = ocdl.network(architecture, samples.inputs, samples.labels, regulariser=penalty, horizon=horizon)
    draw = np.random.default_rng(seed)
    K, W = (draw.standard_normal(shape) / np.sqrt(n) for shape in ((layers, n, n), (1, n)))
    start = {"K": K, "beta": np.zeros((layers, n)), "W": W, "mu": np.zeros(1)}
    start |= {"alpha": np.ones(layers)} if isinstance(architecture, ocdl.ODENet) else {}
    return problem, ocdl.ExplicitEuler(layers), start


def similarity(states: np.ndarray) -> float:
    """The correlation of the last features of an image with the image, in the mean over images."""
    return float(np.mean([np.corrcoef(first, last)[0, 1] for first, last in zip(states[0], states[-1], strict=True)]))


def run(*, nodes: int, count: int, layers: int, iterations: list[int], seed: int = 1) -> list[tuple]:
    """Net, learning curve, similarity of what comes out with what goes in, and what draws it."""
    train, test = ocdl.digits(classes=(0, 8), nodes=nodes, count=count, seed=seed)
    method, found = ocdl.LBFGS(max_iterations=iterations[-1]), []
    for name, architecture in NETS.items():
        problem, depth, start = trained(architecture, train, layers, seed)
        curve = ocdl.learning_curve(problem, depth, method, test, iterations=iterations, start=start)
        solution = ocdl.solve(problem, depth, method, start=start, certificate="first order", on_failure="return")
        alike = similarity(ocdl.features(problem, depth, solution, test.inputs).values)
        found.append((name, curve, alike, (problem, depth, solution, test)))
    return found


rows = run(nodes=4, count=40, layers=5, iterations=[5, 40])


def draw_curves(rows: list[tuple]):
    """Loss and accuracy by iteration, loss by second, and the time steps."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(16, 3.6), constrained_layout=True)
    curves = {name: curve for name, curve, *_ in rows}
    ocdl.plot_learning(curves, against=["iteration"], axes=axes[:2])
    ocdl.plot_learning(curves, what=["loss"], against=["seconds"], axes=axes[2])
    steps = {name: solution for name, _, _, (_, _, solution, _) in rows if name != "Net"}
    ocdl.plot_steps(steps, axes=axes[3])
    return figure


def draw_images(rows: list[tuple], side: int = 8):
    """Eight test images in the layers of each net."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(rows), figsize=(14, 7), constrained_layout=True)
    for place, (name, _, _, (problem, depth, solution, test)) in zip(axes, rows, strict=True):
        chosen = np.linspace(0, len(test.labels) - 1, 8).astype(int)
        few = ocdl.Samples(test.inputs[chosen], test.labels[chosen])
        ocdl.plot_images(problem, depth, solution, few, (side, side), title=name, axes=place)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = run(nodes=8, count=100, layers=20, iterations=[1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 100])
    print(f"{'net':>8} {'loss':>9} {'training':>9} {'test':>7} {'CPU s':>6} {'steps < 0':>9} {'= 0':>4} {'alike':>6}")
    for name, curve, alike, (_, depth, solution, _) in full:
        last = curve.isel(iteration=-1)
        (loss, _), (seen, unseen) = last["loss"].values, last["accuracy"].values
        alpha = solution["alpha"].values if "alpha" in solution.controls else np.ones(depth.count)
        print(
            f"{name:>8} {loss:9.1e} {seen:9.1%} {unseen:7.1%} {float(last['seconds']):6.1f} "
            f"{np.sum(alpha < 0):9d} {np.sum(np.abs(alpha) < 1e-6):4d} {alike:6.2f}"
        )
    draw_curves(full).savefig("digits_curves.png", dpi=90)
    draw_images(full).savefig("digits_images.png", dpi=90)
