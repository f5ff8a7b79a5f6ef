"""How deep a plain network can be trained, and does the theory of signals know beforehand?

Layers y⁺ = tanh(Ky + β) drawn with K_ij ~ N(0, σ_w²/n), β_i ~ N(0, σ_b²), σ_b² = 0.05. In the limit n → ∞ lengths and
correlations of signals follow two maps, whose fixed points lose memory over ξ layers; ξ is infinite on the critical
line χ_1 = 1, at σ_w² = 1.76095464 here. Networks of growing depth start from draws on and beside the line and get the
same few steps of L-BFGS on the squares data.
Sources: Liu and Theodorou (2019), section 3, figure 1; Schoenholz et al. (2017).

``python examples/trainability.py`` trains on a finer raster, prints the table and saves ``trainability.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import SignalTheory, critical, phase_diagram

BIAS = 0.05
CHANNELS = 20
STEPS = 30
line = critical(ocdl.Tanh(), BIAS)
train, _ = ocdl.squares(count=60, seed=1)


def trained(weight_variance: float, layers: int, seed: int) -> float:
    """The share of the training set that is right after ``STEPS`` steps."""
    problem = ocdl.network(
        ocdl.Plain(ocdl.Tanh()),
        train.inputs,
        train.labels,
        channels=CHANNELS,
        horizon=layers,
        regulariser=ocdl.Tikhonov(1e-6),
    )
    start = SignalTheory(ocdl.Tanh(), weight_variance, BIAS).draw(CHANNELS, layers, inputs=2, seed=seed)
    method = ocdl.LBFGS(max_iterations=STEPS)
    grid = ocdl.ExplicitEuler(layers)
    net = ocdl.solve(problem, grid, method, start=start, certificate="first order", on_failure="return", progress=False)
    return ocdl.accuracy(ocdl.predict(problem, grid, net, train.inputs), train.labels)


def raster(weights: list[float], depths: list[int], seeds: int) -> np.ndarray:
    """Accuracies on the training set (depths, weights), mean over seeds."""
    return np.array([[np.mean([trained(w, L, s) for s in range(seeds)]) for w in weights] for L in depths])


WEIGHTS = [0.4, line.weight_variance, 9.0]
DEPTHS = [4, 40]
accuracies = raster(WEIGHTS, DEPTHS, seeds=3)
theories = [SignalTheory(ocdl.Tanh(), w, BIAS) for w in WEIGHTS]


def draw(weights, depths, accuracies, side=40):
    """The phases with the critical line, and what was trained beside the depth scales of the theory."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    ws, bs = np.linspace(0.3, 4.0, side), np.linspace(0.0, 0.5, side // 2)
    phases = phase_diagram(ocdl.Tanh(), ws, bs)
    image = left.pcolormesh(ws, bs, phases.chi.T, cmap="PuOr_r", vmin=0.2, vmax=1.8, shading="gouraud")
    figure.colorbar(image, ax=left, label="$\\chi_1$")
    at = 0.5 * np.linspace(0.0, 1.0, 40) ** 3
    curve = [critical(ocdl.Tanh(), b) for b in at]
    left.plot([one.weight_variance for one in curve], at, "k", lw=1.5)
    left.axhline(BIAS, color="k", ls=":", lw=1)
    left.set(title="ordered | chaotic", xlabel="$\\sigma_w^2$", ylabel="$\\sigma_b^2$", xlim=(ws[0], ws[-1]))
    image = right.pcolormesh(weights, depths, accuracies, cmap="viridis", vmin=0.5, vmax=1.0, shading="nearest")
    figure.colorbar(image, ax=right, label=f"right after {STEPS} steps")
    fine = np.geomspace(min(weights), max(weights), 200)
    scales = np.array([6 * SignalTheory(ocdl.Tanh(), w, BIAS).depth_c for w in fine])
    right.plot(fine, scales, "w--", lw=1.5)
    right.axvline(line.weight_variance, color="w", lw=1)
    right.set(
        title="trained; dashed: $6\\,\\xi_c$", xlabel="$\\sigma_w^2$", ylabel="layers", ylim=(depths[0], depths[-1])
    )
    right.set(xscale="log", yscale="log", xticks=[0.5, 1, 2, 5, 10], yticks=depths[::2])
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    WEIGHTS = [*np.geomspace(0.3, 12.0, 14)]
    DEPTHS = [3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    accuracies = raster(WEIGHTS, DEPTHS, seeds=3)
    print(f"critical: σ_w² = {line.weight_variance:.8f}, q* = {line.q:.8f}")
    print("σ_w²    ξ_c     ξ_∇  | right by layers " + "".join(f"{L:5d}" for L in DEPTHS))
    for w, column in zip(WEIGHTS, accuracies.T, strict=True):
        theory = SignalTheory(ocdl.Tanh(), w, BIAS)
        shares = "".join(f"{share:5.2f}" for share in column)
        print(f"{w:5.2f} {theory.depth_c:6.1f} {theory.depth_gradient:6.1f}  |                 {shares}")
    draw(WEIGHTS, DEPTHS, accuracies).savefig("trainability.png", dpi=110)
