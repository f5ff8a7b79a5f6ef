"""What do the features do, layer by layer?

The spiral in the layers of four nets (``examples/architectures.py``): Benning et al. (2019), figures 3 and 10 to 12.
What is measured is how flat the cloud is around its points: s₂/s₁, the principal deviations of the 20 nearest
features, in the median; 0 is a string.

The paper: "Net and ODENet reduce the two dimensional point cloud to a one-dimensional string whereas ResNet and
ODENet+simplex preserve their two-dimensional character". Over three seeds, from 0.7 at the inputs: the Net ends at
0.00, a string, whether or not it separates the arms; ResNet at 0.57 to 0.72 and simplex at 0.65 to 0.66: these
reproduce. ODENet ends at 0.60 to 0.64 and makes no string: that does not.

``python examples/features_by_layer.py`` computes it in full and saves ``features_by_layer.png``.
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
DEPTH = ocdl.ExplicitEuler(LAYERS)
SHOWN = [0, 5, 10, 15, 20]


def trained(architecture: ocdl.Architecture, samples: ocdl.Samples, seed: int, iterations: int):
    """The problem and its solution from K, W ~ N(0, 1), β = μ = 0 and equal time steps."""
    horizon = float(LAYERS) if architecture.discrete else 1.0
    penalty = ocdl.Tikhonov(1e-4 / horizon)
    problem = ocdl.network(architecture, samples.inputs, samples.labels, regulariser=penalty, horizon=horizon)
    draw = np.random.default_rng(seed)
    K, W = draw.standard_normal((LAYERS, 2, 2)), draw.standard_normal((1, 2))
    start = {"K": K, "beta": np.zeros((LAYERS, 2)), "W": W, "mu": np.zeros(1)}
    start |= {"alpha": np.ones(LAYERS)} if isinstance(architecture, ocdl.ODENet) else {}
    method = ocdl.LBFGS(max_iterations=iterations)
    found = ocdl.solve(problem, DEPTH, method, start=start, certificate="first order", on_failure="return")
    return problem, found


def flatness(points: np.ndarray, neighbours: int = 20) -> float:
    """s₂/s₁ of the nearest points of each, in the median."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = points[np.argsort(apart, axis=1)[:, :neighbours]]
    deviations = np.linalg.svd(near - near.mean(axis=1, keepdims=True), compute_uv=False)
    return float(np.median(deviations[:, 1] / np.maximum(deviations[:, 0], 1e-300)))


def run(count: int, seeds: range, iterations: int) -> list[tuple]:
    """Net, seed, flatness at ``SHOWN`` layers, test accuracy, and what draws it."""
    found = []
    for seed in seeds:
        train, test = ocdl.spiral(count=count, seed=seed)
        for name, architecture in NETS.items():
            problem, solution = trained(architecture, train, seed, iterations)
            clouds = ocdl.features(problem, DEPTH, solution, test.inputs).values[SHOWN]
            right = ocdl.accuracy(ocdl.predict(problem, DEPTH, solution, test.inputs), test.labels)
            found.append((name, seed, [flatness(cloud) for cloud in clouds], right, (problem, solution, test)))
    return found


rows = run(150, range(1, 2), 150)


def draw(rows: list[tuple]):
    """A row a net, a column a layer."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(NETS), len(SHOWN), figsize=(15, 11), constrained_layout=True)
    for line, (name, _, _, _, (problem, solution, test)) in zip(axes, rows, strict=False):
        title = f"{name}, layer {{layer}}"
        ocdl.plot_features(problem, DEPTH, solution, test, layers=SHOWN, title=title, axes=line)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = run(1000, range(1, 4), 1000)
    print("s₂/s₁ behind layer" + "".join(f"{layer:7d}" for layer in SHOWN) + f"{'test':>9}")
    for name, seed, flat, right, _ in full:
        print(f"{name:>11} seed {seed}" + "".join(f"{value:7.2f}" for value in flat) + f"{right:9.1%}")
    draw(full).savefig("features_by_layer.png", dpi=90)
