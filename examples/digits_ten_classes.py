"""Ten handwritten digits by one residual network: does the maximum principle, with its last layer, keep up?

    ẋ = tanh(K x + β), T = 1;   mean cross-entropy of softmax(W x(T) + μ)  +  ½ α (∫ |K|² + |β|² dt + |W|² + |μ|²)

The readout is the last layer, with a Hamiltonian of its own: the mean cross-entropy of the final states in force and
the penalty of (W, μ), convex in both. The methods of the maximum principle minimise it beside those of the layers;
gradients move all at once. All start from the same draw.

``python examples/digits_ten_classes.py`` trains 1000 images of 64 pixels in ten layers, holds 797 out, and saves
``digits_ten_classes.png``: the confused digits, and held-out images that are told wrongly.
"""

from collections.abc import Iterator

import numpy as np

import ocdl

CLASSES = tuple(range(10))


def problem(train: ocdl.Samples, weight: float = 1e-3) -> ocdl.ControlProblem:
    return ocdl.network(
        ocdl.Residual(),
        train.inputs,
        train.labels,
        readout=ocdl.Readout(link=ocdl.Softmax(), outputs=len(CLASSES)),
        loss=ocdl.SoftmaxCrossEntropy(),
        regulariser=ocdl.Tikhonov(weight),
    )


def methods(iterations: int, gradients: int) -> list[ocdl.Method]:
    return [
        ocdl.Train(max_iterations=gradients),
        ocdl.ExtendedSuccessiveApproximations(adaptive=True, penalty=0.1, max_iterations=iterations),
        ocdl.StochasticGradient(rule="adam", step=0.01, max_iterations=gradients),
    ]


def run(*, count: int, nodes: int, layers: int, iterations: int, gradients: int) -> Iterator[tuple]:
    """Method, J, its iterates, right in training and held out, CPU seconds, and what it says of the images held out."""
    train, held_out = ocdl.digits(classes=CLASSES, nodes=nodes, count=count, seed=0)
    statement, depth = problem(train), ocdl.ExplicitEuler(layers)
    n, generator = train.inputs.shape[1], np.random.default_rng(0)
    start = {
        "K": generator.standard_normal((layers, n, n)) / np.sqrt(n),
        "W": generator.standard_normal((len(CLASSES), n)) / np.sqrt(n),
    }
    for method in methods(iterations, gradients):
        options = {"on_failure": "return", "certificate": "first order"}
        solution = ocdl.solve(statement, depth, method, start=start, **options)
        told = ocdl.predict(statement, depth, solution, held_out.inputs)
        seen = ocdl.accuracy(ocdl.predict(statement, depth, solution), train.labels)
        unseen = ocdl.accuracy(told, held_out.labels)
        costs, seconds = solution.history["cost"].values, float(solution.history["cpu_seconds"][-1])
        yield solution.method, solution.cost, costs, seen, unseen, seconds, told.values.argmax(axis=1), held_out


rows = list(run(count=200, nodes=4, layers=4, iterations=5, gradients=100))


def draw(rows: list[tuple]):
    """The confusion of the best, and some of the images that it tells wrongly."""
    import matplotlib.pyplot as plt

    *_, told, held_out = min(rows, key=lambda row: row[1])
    table = np.zeros((10, 10))
    np.add.at(table, (held_out.labels, told), 1)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), constrained_layout=True)
    axes[0].imshow(np.log1p(table), cmap="Greys")
    for (i, j), number in np.ndenumerate(table):
        if number:
            axes[0].text(j, i, int(number), ha="center", va="center", color="C3" if i != j else "white", fontsize=8)
    axes[0].set(xticks=CLASSES, yticks=CLASSES, xlabel="told", ylabel="is", title="held out")
    wrong = np.flatnonzero(told != held_out.labels)[:20]
    side = int(np.sqrt(held_out.inputs.shape[1]))
    sheet = np.full((4 * (side + 1), 5 * (side + 1)), np.nan)
    for place, sample in enumerate(wrong):
        i, j = (side + 1) * (place // 5), (side + 1) * (place % 5)
        sheet[i : i + side, j : j + side] = held_out.inputs[sample].reshape(side, side)
        axes[1].text(j, i - 1, f"{held_out.labels[sample]} → {told[sample]}", color="C3", fontsize=7, va="bottom")
    axes[1].imshow(sheet, cmap="Greys")
    axes[1].set_title("is → told", fontsize=9)
    axes[1].axis("off")
    return figure


def shown(rows: Iterator[tuple]) -> Iterator[tuple]:
    """The rows, each printed as it comes."""
    print(f"{'method':>34} {'J':>10} {'iterates':>9} {'training':>9} {'held out':>9} {'CPU s':>7}")
    for row in rows:
        name, cost, costs, seen, unseen, seconds = row[:6]
        print(f"{name:>34} {cost:10.6f} {costs.size:9d} {seen:9.1%} {unseen:9.1%} {seconds:7.1f}", flush=True)
        yield row


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    full = list(shown(run(count=1000, nodes=8, layers=10, iterations=20, gradients=300)))
    draw(full).savefig("digits_ten_classes.png", dpi=110)
