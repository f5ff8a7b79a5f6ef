"""What does it cost a network, and what does it gain, to be trained against an adversary?

    min_u (1/S) Σ_s max_{|δ_s| ≤ Δ} ½ (h(W x_s(T) + μ) − c_s)² + ½ α |K, β, W, μ|²
    ẋ = tanh(Kx + β),  x_s(0) = x_s^0 + δ_s

on the squares of Benning et al. (2019), Δ = 0.1. The cost with no adversary rises, and that of the worst changes falls:
attacked by gradient ascent from below, proven by branch and bound from above, two figures that are close. So are the
shares of the test points that are told rightly in the whole of a ball of radius r, attacked and certified. J is not
convex in the controls: that the adversarial network is nearly the best one is true near it, and not proven.
Source: Liu and Theodorou (2019), "Deep learning theory review", section 5.3.

``python examples/adversarial_training.py`` saves ``adversarial_training.png``.
"""

from typing import NamedTuple

import numpy as np

import ocdl
from ocdl.analysis import AdversarialCertificate, Robustness, keeps_class

LAYERS = 10
DEPTH = ocdl.ExplicitEuler(LAYERS)
BALL = ocdl.Ball(0.1)
RADII = np.linspace(0.0, 0.2, 5)
TRAIN, TEST = ocdl.squares(count=150, seed=0)


class Row(NamedTuple):
    """A network, the value of the game at it, and shares of test points told rightly in balls of ``RADII``."""

    solution: ocdl.Solution
    certificate: AdversarialCertificate
    certified: np.ndarray
    attacked: np.ndarray


def problem(samples: ocdl.Samples) -> ocdl.ControlProblem:
    return ocdl.network(ocdl.Residual(), samples.inputs, samples.labels, regulariser=ocdl.Tikhonov(1e-4))


def start() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    K, W = draw.standard_normal((LAYERS, 2, 2)), draw.standard_normal((1, 2))
    return {"K": K, "beta": np.zeros((LAYERS, 2)), "W": W, "mu": np.zeros(1)}


def trained(statement: ocdl.ControlProblem, method: ocdl.Method, begin) -> Row:
    options = {"certificate": "first order", "on_failure": "return"}
    solution = ocdl.solve(statement, DEPTH, method, start=begin, **options)
    network = ocdl.LayeredNetwork.of(statement, DEPTH, solution, inputs=2)
    kept = [keeps_class(network, TEST.inputs, TEST.labels, ocdl.Ball(r)).mean() for r in RADII]
    found = Robustness.of(network, TEST.inputs, TEST.labels)
    beyond = [np.mean(found.right & (found.attacked > r)) for r in RADII]
    return Row(solution, AdversarialCertificate.of(statement, DEPTH, solution, BALL), np.array(kept), np.array(beyond))


statement = problem(TRAIN)
plain = trained(statement, ocdl.LBFGS(max_iterations=300), start())
adversarial = trained(
    statement,
    ocdl.AdversarialTraining(
        BALL, adversary=ocdl.Ascent(iterations=6, starts=2), method=ocdl.LBFGS(max_iterations=60), rounds=8
    ),
    plain.solution,
)
rows = {"plain": plain, "adversarial": adversarial}


def draw(rows: dict[str, Row]):
    """The regions of both networks, and accuracies by radius."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 4.0), constrained_layout=True)
    for (name, row), ax in zip(rows.items(), axes, strict=False):
        ocdl.plot_regions(statement, DEPTH, row.solution, TEST, title=f"{name}, test points", axes=ax)
    for (name, row), colour in zip(rows.items(), ("#0072B2", "#D55E00"), strict=True):
        axes[2].plot(RADII, row.attacked, color=colour, ls="--", marker="o", ms=4, lw=1.4, label=f"{name}, attacked")
        axes[2].plot(RADII, row.certified, color=colour, marker="s", ms=3, lw=1.6, label=f"{name}, certified")
        axes[2].fill_between(RADII, row.certified, row.attacked, color=colour, alpha=0.12, lw=0)
    axes[2].axvline(BALL.radius, color="#444444", lw=0.8, ls=":")
    axes[2].set(xlabel="radius |δ|₂", ylabel="accuracy", xlim=(0, RADII[-1]), ylim=(0, 1), xticks=RADII)
    axes[2].set_title("test points told rightly in a ball", loc="left", fontsize=9.5, weight="bold")
    axes[2].legend(fontsize=8)
    axes[2].grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(
        f"{'':>12} {'J':>8} {'attacked':>9} {'certified':>9} | test points told rightly, attacked and certified, by r"
    )
    print(f"{'':>12} {'':>8} {'':>9} {'':>9} |" + "".join(f"{r:17.2f}" for r in RADII))
    for name, row in rows.items():
        found = row.certificate
        shares = "".join(f"  {a:7.1%} {c:7.1%}" for a, c in zip(row.attacked, row.certified, strict=True))
        print(f"{name:>12} {found.nominal:8.5f} {found.attacked:9.5f} {found.certified:9.5f} |{shares}")
    found = adversarial.certificate
    print(
        f"scenarios that training has answered cost {found.lower:.5f}, the worst changes at most {found.certified:.5f}"
    )
    print(adversarial.solution.detail)
    draw(rows).savefig("adversarial_training.png", dpi=110)
