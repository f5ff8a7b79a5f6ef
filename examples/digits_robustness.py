"""How much of a change of the image does a network of digits stand, and where is it amplified?

    x_{k+1} = x_k + h tanh(K_k x_k + β_k), h = 1/N;   mean cross-entropy of softmax(W x_N + μ)  +  ½ α |K, β, W, μ|²

Layer by layer: eigenvalues λ and logarithmic norm m of the layer's Jacobian φ', singular values of M, the product of
the Jacobians of the steps passed, and its norm over the steps to come. Image by image: the margin m of the digit told,
the radius of a ball of images in which no other digit can be told, proven, and that of the nearest other image found.
A larger α makes singular values smaller, and radii larger.
Source: Liu and Markowich, section 3.5.

``python examples/digits_robustness.py`` trains on images of 64 pixels, and saves ``digits_robustness.png``.
"""

from typing import NamedTuple

import numpy as np

import ocdl
from ocdl.analysis import Conditioning, Flow, Robustness

CLASSES = tuple(range(10))
WEIGHTS = (1e-3, 1e-2)


class Row(NamedTuple):
    """Of one α: the share of held-out images told rightly, and what is known of some of them."""

    weight: float
    accuracy: float
    conditioning: Conditioning
    robustness: Robustness
    images: ocdl.Samples

    @property
    def median(self) -> tuple[float, float]:
        """Certified and attacked radii, of images told rightly."""
        found = self.robustness
        return float(np.median(found.certified[found.right])), float(np.median(found.attacked[found.right]))


def problem(train: ocdl.Samples, weight: float) -> ocdl.ControlProblem:
    return ocdl.network(
        ocdl.Residual(),
        train.inputs,
        train.labels,
        readout=ocdl.Readout(link=ocdl.Softmax(), outputs=len(CLASSES)),
        loss=ocdl.SoftmaxCrossEntropy(),
        regulariser=ocdl.Tikhonov(weight),
    )


def study(weight: float, *, count: int, nodes: int, layers: int, images: int) -> Row:
    """A network of ``layers`` trained with α = weight, and what is known of some held-out images."""
    train, test = ocdl.digits(classes=CLASSES, nodes=nodes, count=count, seed=0)
    statement, depth, n = problem(train, weight), ocdl.ExplicitEuler(layers), nodes * nodes
    generator = np.random.default_rng(0)
    start = {
        "K": generator.standard_normal((layers, n, n)) / np.sqrt(n),
        "W": generator.standard_normal((len(CLASSES), n)) / np.sqrt(n),
    }
    options = {"on_failure": "return", "certificate": "first order"}
    solution = ocdl.solve(statement, depth, ocdl.Train(max_iterations=100), start=start, **options)
    accuracy = ocdl.accuracy(ocdl.predict(statement, depth, solution, test.inputs), test.labels)
    few = np.linspace(0, len(test.labels) - 1, images).astype(int)
    seen = ocdl.Samples(test.inputs[few], test.labels[few])
    flow = Flow.of(statement, depth, solution, steps=True)
    network = ocdl.LayeredNetwork.of(statement, depth, solution, inputs=n)
    return Row(
        weight,
        accuracy,
        Conditioning.along(flow.evolve(seen.inputs)),
        Robustness.of(network, seen.inputs, seen.labels),
        seen,
    )


rows = [study(weight, count=200, nodes=4, layers=4, images=20) for weight in WEIGHTS]


def draw(rows: list[Row]):
    """Amplification by depth, certified against attacked radii, and the images that are easiest told otherwise."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), constrained_layout=True)
    ocdl.plot_amplification(rows[0].conditioning, title=f"amplification, α = {rows[0].weight:g}", axes=axes[0])
    for row, mark, colour in zip(rows, "o^", ("#0072B2", "#D55E00"), strict=True):
        found, share = row.robustness, np.median(row.robustness.ratio)
        points = found.attacked[found.right], found.certified[found.right]
        axes[1].scatter(*points, s=22, marker=mark, c=colour, label=f"α = {row.weight:g}, ratio {share:.2f}")
    longest = 1.08 * max(row.robustness.attacked.max() for row in rows)
    axes[1].plot([0, longest], [0, longest], color="#444444", lw=0.8, ls=":", label="certified = attacked")
    axes[1].set(xlim=(0, longest), ylim=(0, longest), xlabel="attacked radius |δ|", ylabel="certified radius")
    for label in (axes[1].xaxis.label, axes[1].yaxis.label):
        label.set_size(8.5)
    axes[1].tick_params(labelsize=8)
    axes[1].set_title("radii of images told rightly", loc="left", fontsize=9.5, weight="bold")
    axes[1].legend(fontsize=8, loc="upper left")
    _draw_images(axes[2], rows[0])
    return figure


def _draw_images(axes, row: Row, count: int = 5) -> None:
    """Images above, what is told otherwise below: of small radii first."""
    found, side = row.robustness, int(np.sqrt(row.images.inputs.shape[1]))
    order = [s for s in np.argsort(found.attacked) if found.right[s]][:count]
    sheet = np.full((2 * (side + 1), count * (side + 1)), np.nan)
    for place, s in enumerate(order):
        across, image = slice(place * (side + 1), place * (side + 1) + side), row.images.inputs[s]
        sheet[:side, across] = image.reshape(side, side)
        sheet[side + 1 : -1, across] = (image + found.changes[s]).reshape(side, side)
        other = found.network.output((image + found.changes[s])[None]).argmax()
        said = f"{found.told[s]} → {other}\n|δ| = {found.attacked[s]:.2g}"
        axes.text(place * (side + 1) + 0.5 * (side - 1), 2 * side + 1.2, said, ha="center", va="top", fontsize=8)
    axes.imshow(sheet, cmap="gray_r", vmin=0.0, vmax=1.0)
    axes.set_title("images, and the nearest told otherwise", loc="left", fontsize=9.5, weight="bold")
    axes.axis("off")


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = [study(weight, count=300, nodes=8, layers=10, images=40) for weight in WEIGHTS]
    for row in full:
        certified, attacked = row.median
        print(f"α = {row.weight:g}: {row.accuracy:.1%} of held-out images told rightly,")
        print(
            f"certified radius {certified:.4f}, attacked {attacked:.4f}, in the median of {row.robustness.right.sum()}"
        )
        print(row.conditioning)
        print(row.robustness)
    draw(full).savefig("digits_robustness.png", dpi=110)
