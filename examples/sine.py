"""Does the maximum principle train faster than gradients: per iteration, per second, and on points it has not seen?

The sine by five neurons and twenty layers: ẋ = tanh(W x + b), T = 5, x(0) five copies of ξ ∈ [−π, π], loss
(Σ_i x_i(T) − sin ξ)², averaged. From a good start, W truncated normal with deviation 0.1, b = 0.1; and from zero, where
the five components are equal and every method that treats neurons alike keeps them so: there all methods start from the
same perturbation U(±0.005).
The gradient methods have one step each for both starts, from a coarse sweep on fewer samples; another suits one start
better (Adagrad's escape from zero, for one, needs a longer one). Levenberg and Marquardt's method knows more: the loss
is a square. The test loss is that of ξ halfway between the training points, after some counts of iterations.
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), section 5, figure 1.

``python examples/sine.py [SAMPLES]`` computes it with 1000 samples, prints the table and saves ``sine.png``.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import casadi as ca
import numpy as np

import ocdl

NEURONS = 5


def problem(samples: int) -> ocdl.ControlProblem:
    xi = np.linspace(-np.pi, np.pi, samples)
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[: NEURONS**2], NEURONS, NEURONS) @ x + u[NEURONS**2 :],
        dynamics=lambda z: np.tanh(z),
        terminal=lambda x, d: (ca.sum1(x) - d[0]) ** 2,
        initial=np.repeat(xi[:, None], NEURONS, axis=1),
        data=np.sin(xi)[:, None],
        horizon=5.0,
        controls=NEURONS**2 + NEURONS,
        columnwise=True,
    )


def starts(layers: int) -> dict[str, ocdl.Start]:
    generator = np.random.default_rng(0)
    weights = 0.1 * np.clip(generator.standard_normal((layers, NEURONS**2)), -2.0, 2.0)
    good = np.concatenate([weights, np.full((layers, NEURONS), 0.1)], axis=1)
    zero = generator.uniform(-0.005, 0.005, good.shape)
    return {"good": ocdl.Start(good, np.zeros(0)), "zero": ocdl.Start(zero, np.zeros(0))}


def test(samples: int) -> ocdl.ControlProblem:
    """The same with ξ halfway between the points of ``problem``."""
    statement = problem(samples)
    xi = 0.5 * (statement.x0[1:] + statement.x0[:-1])
    return replace(statement, initial=xi, data=np.sin(xi[:, :1]), weights=None)


def methods() -> dict[str, Callable[[int], ocdl.Method]]:
    """By name, of so many iterations."""
    msa = ocdl.ExtendedSuccessiveApproximations
    rule = ocdl.StochasticGradient
    return {
        "E-MSA, ρ = 1": lambda count: msa(penalty=1.0, max_iterations=count),
        "E-MSA, adaptive ρ": lambda count: msa(penalty=0.1, adaptive=True, max_iterations=count),
        "SQH": lambda count: ocdl.SequentialQuadraticHamiltonian(max_iterations=count),
        "SGD": lambda count: rule(rule="sgd", step=0.01, max_iterations=count),
        "Adagrad": lambda count: rule(rule="adagrad", step=0.1, max_iterations=count),
        "Adam": lambda count: rule(rule="adam", step=0.01, max_iterations=count),
        "L-BFGS": lambda count: ocdl.LBFGS(max_iterations=count),
        "Levenberg–Marquardt": lambda count: ocdl.LevenbergMarquardt(max_iterations=count),
    }


GRADIENTS = ("SGD", "Adagrad", "Adam", "L-BFGS", "Levenberg–Marquardt")  # whose iterations go by derivatives of J


def counts(most: int) -> list[int]:
    return sorted({count for count in (1, 3, 10, 30, 100, 300) if count < most} | {most})


def run(*, samples: int, layers: int, iterations: int, gradients: int) -> Iterator[tuple]:
    """Start, method, costs and CPU seconds of every iterate, and the test loss of the best after some ``counts``.

    ``gradients``: iterations of the methods that go by derivatives of J.
    """
    statement, unseen, depth = problem(samples), test(samples), ocdl.ExplicitEuler(layers)
    for start_name, start in starts(layers).items():
        for name, method in methods().items():
            tests = {}
            for count in counts(gradients if name in GRADIENTS else iterations):
                outcome = method(count).solve(statement, depth, start, progress=False)
                tests[count] = ocdl.certify(unseen, depth, outcome.u, outcome.p, first_order=True).cost
            history = outcome.history
            yield start_name, name, np.array(history["cost"]), np.array(history["cpu_seconds"]), tests


rows = list(run(samples=40, layers=20, iterations=5, gradients=50))


def shown(rows: Iterator[tuple]) -> Iterator[tuple]:
    """The rows, each printed as it comes."""
    print(
        f"{'start':>6} {'method':>19} {'after 5':>9} {'after 10':>9} {'best':>9} {'its test':>9} {'iterations':>10} "
        f"{'1 s':>9} {'3 s':>9} {'CPU s':>7}"
    )
    for start, name, costs, seconds, tests in rows:
        early = "".join(f"{np.min(costs[: count + 1]):10.1e}" for count in (5, 10))
        within = "".join(f"{np.min(costs[seconds - seconds[0] <= limit]):10.1e}" for limit in (1.0, 3.0))
        best = f"{costs.min():10.1e}{[*tests.values()][-1]:10.1e}"
        print(f"{start:>6} {name:>19}{early}{best} {costs.size - 1:10d}{within} {seconds[-1]:7.1f}", flush=True)
        yield start, name, costs, seconds, tests


def draw(rows: list[tuple]):
    """Two rows, one a start: the best loss per iteration with the test loss as points, and per second."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharey=True, constrained_layout=True)
    for line, start in zip(axes, ("good", "zero"), strict=True):
        for place, (_, name, costs, seconds, tests) in enumerate(row for row in rows if row[0] == start):
            least = np.minimum.accumulate(costs)
            style = {"color": f"C{place}", "ls": "--" if name in GRADIENTS else "-", "lw": 1.4, "label": name}
            line[0].plot(np.arange(1, least.size + 1), least, **style)
            line[0].plot(1 + np.array([*tests]), [*tests.values()], "o", color=f"C{place}", ms=4, mfc="none")
            line[1].plot(np.maximum(seconds - seconds[0], 1e-2), least, **style)
            line[0].plot(np.arange(1, costs.size + 1), costs, color=f"C{place}", lw=0.4, alpha=0.5)
        line[0].set(ylabel=f"{start} start: loss", xlabel="iterate (1: the start); rings: test loss")
        line[1].set(xlabel="CPU seconds")
        for axis in line:
            axis.set(xscale="log", yscale="log")
            axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    clock, samples = time.process_time(), int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    full = list(shown(run(samples=samples, layers=20, iterations=30, gradients=360)))
    draw(full).savefig("sine.png", dpi=110)
    print(f"sine.png, {time.process_time() - clock:.0f} CPU seconds")
