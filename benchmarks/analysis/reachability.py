"""Verdicts on 200 random targets against value iteration's V = 0 and against brute force.

    python benchmarks/analysis/reachability.py [--cases 200] [--seed 0]

One neuron in half of the cases, two in a third, three in the rest: random activations, starts, boxes of a and b, and
targets in the componentwise box, widened by a tenth; every fourth is 0.02 inside or outside an end that brute force
found to be extreme in a random direction. Value iteration (one and two neurons): V(x⁰, 0) is zero within its estimated
error, or not. Brute force: the ends of 4000 piecewise constant controls of random kinds.

A yes is wrong where V exceeds its error, or the simulation of its controls ends elsewhere; a no is wrong where any end
of brute force lies in the box of targets that it excludes, or where V, with its error, is below what that box leaves,
½ margin²/M.
"""

import argparse
import time
from collections import Counter

import numpy as np

import ocdl
from ocdl.analysis import componentwise, reachable

ACTIVATIONS = (ocdl.Tanh(), ocdl.Sigmoid(), ocdl.Arctan(), ocdl.ReLU(), ocdl.LeakyReLU())
LAYERS, ENDS, STEPS = 12, 4000, 8
CLOSE = 1e-6


def case(rng: np.random.Generator, k: int) -> tuple[ocdl.SelectionProblem, int]:
    M = (1, 1, 1, 2, 2, 3)[k % 6]
    lower = rng.uniform(-1.5, 0.5), rng.uniform(-2.0, 1.0)
    a, b = ((low, low + rng.uniform(0.3, 2.0)) for low in lower)
    return ocdl.SelectionProblem(
        activation=ACTIVATIONS[rng.integers(len(ACTIVATIONS))],
        horizon=float(rng.uniform(0.5, 1.5)),
        initial=rng.uniform(-1.0, 1.0, M),
        target=0.0,
        bounds=ocdl.Box(a=a, b=b),
    ), M


def brute_force(problem: ocdl.SelectionProblem, M: int, rng: np.random.Generator) -> np.ndarray:
    """States (ENDS, M) at the horizon of controls a, b of their box, not of rank one: classical Runge–Kutta steps."""
    core = problem.discretise(ocdl.Midpoint(M))
    (a_low, b_low), (a_high, b_high) = (
        (end[0, :M], end[0, M:].reshape(M, M)) for end in core.control_box_at(np.zeros(1))
    )

    def drawn(low, high):
        shape = (ENDS, LAYERS, *low.shape)
        share = rng.random(shape)
        kind = rng.random((ENDS, 1, *[1] * low.ndim))
        share = np.where(kind < 0.5, np.round(share), share)
        held = np.where(kind < 0.2, share[:, :1], share)
        return low + held * (high - low)

    a, b = drawn(a_low, a_high), drawn(b_low, b_high)
    x, h = np.broadcast_to(core.x0[0], (ENDS, M)), core.span / (LAYERS * STEPS)
    for k in np.repeat(np.arange(LAYERS), STEPS):

        def rate(f, k=k):
            return problem.activation(a[:, k] - np.einsum("sij,sj->si", b[:, k], f) / M)

        k1 = rate(x)
        k2 = rate(x + 0.5 * h * k1)
        k3 = rate(x + 0.5 * h * k2)
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + rate(x + h * k3))
    return x


def targeted(problem: ocdl.SelectionProblem, M: int, k: int, ends: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A target of the widened box; every fourth just beyond or just within the last end that brute force reached."""
    box = componentwise(problem, ocdl.Midpoint(M))
    wide = np.maximum(box.high - box.low, 0.05)
    if k % 4:
        return box.low - 0.1 * wide + 1.2 * wide * rng.random(M)
    direction = rng.standard_normal(M)
    outermost = ends[np.argmax(ends @ direction)]
    return outermost + rng.choice([-0.02, 0.02]) * direction / np.linalg.norm(direction)


def value(problem: ocdl.SelectionProblem, M: int, target: np.ndarray) -> tuple[float, float]:
    """V(x⁰, 0) and its estimated error."""
    grid = ocdl.Grid(width=ocdl.Midpoint(M), depth=ocdl.Kutta4(40))
    claim = ocdl.solve(problem.replace(target=target), grid, ocdl.ValueIteration(), on_failure="return").claim
    return claim["cost"], claim.get("value_error", np.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, table, wrong, spent = np.random.default_rng(given.seed), Counter(), [], []
    for k in range(given.cases):
        problem, M = case(rng, k)
        ends = brute_force(problem, M, rng)
        target = targeted(problem, M, k, ends, rng)
        begin = time.process_time()
        found = reachable(problem, ocdl.Midpoint(M), target)
        spent.append(time.process_time() - begin)
        hit = np.any(np.all(np.abs(ends - target) < found.margin, axis=1))
        faults = []
        said = "-"
        if M < 3:
            v, error = value(problem, M, target)
            said = "V = 0" if v <= error else "V > 0"
            if found.verdict == "yes" and v > error:
                faults.append(f"V = {v:.2e} ± {error:.1e}")
            if found.verdict == "no" and v + error < 0.5 * found.margin**2 / M:
                faults.append(f"V = {v:.2e} ± {error:.1e}, margin {found.margin:.1e}")
        if found.verdict == "no" and hit:
            faults.append("brute force ends in the box that is excluded")
        if found.verdict == "yes" and found.distance > CLOSE:
            faults.append(f"the simulation ends {found.distance:.1e} away")
        near = float(np.min(np.linalg.norm(ends - target, axis=1)))
        table[M, str(found.verdict), said] += 1
        if faults or found.verdict == "unknown":
            kind = type(problem.activation).__name__
            print(
                f"case {k} (M = {M}, {kind}): {found.verdict} within {found.margin:.1e}, controls end "
                f"{found.distance:.1e} away, brute force {near:.1e}: {'; '.join(faults) or 'left open'}"
            )
        wrong += faults
    print("neurons verdict  value iteration  cases")
    for (M, verdict, said), count in sorted(table.items()):
        print(f"{M:7d} {verdict:8} {said:>15} {count:6d}")
    print(
        f"wrong: {len(wrong)} of {given.cases}; CPU seconds a verdict: median {np.median(spent):.2f}, "
        f"largest {max(spent):.2f}"
    )


if __name__ == "__main__":
    main()
