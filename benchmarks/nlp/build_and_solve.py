"""How much do assembled derivatives and the rank-one reduction save? Both sides in one run, CPU seconds and ratios.

Build: time to an NLP that IPOPT can take, against the same lifted collocation written with ``Function.map`` and left
to ``nlpsol`` to differentiate. Solve: one sample, far target, tolerance 1e-8, rank-one form against the full (a, b).
Growth: CPU seconds an iteration against N and M in rank-one form. Run with OMP_NUM_THREADS=1; ``--figure FILE`` draws
the growth.
"""

from __future__ import annotations

import argparse
import resource
import time

import casadi as ca
import numpy as np

import ocdl
from ocdl.nlp.transcription import Transcription

QUIET = {"print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes"}


def problem(M: int, S: int = 1) -> ocdl.SelectionProblem:
    if S == 1:
        initial, target = (
            lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
            lambda y: 3 * np.cos(2 * np.pi * y),
        )
    else:
        initial, target = np.random.default_rng(0).normal(size=(2, S, M))
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def build_ours(M: int, S: int, layers: int, degree: int) -> None:
    program = Transcription(problem(M, S).discretise(ocdl.Midpoint(M)), ocdl.Radau(layers, degree)).program
    given = {"grad_f": program.grad_f, "jac_g": program.jac_g, "hess_lag": program.hess_lag}
    ca.nlpsol("ours", "ipopt", program.objective, {**given, **QUIET})


def build_plain(M: int, S: int, layers: int, degree: int) -> None:
    """The same collocation with lifted pre-activations, one mapped layer, derivatives by CasADi."""
    tableau = ocdl.Radau(layers, degree).tableau
    h = 1.0 / layers
    x, X, z = ca.SX.sym("x", M, S), ca.SX.sym("X", M * S, degree), ca.SX.sym("z", M * S, degree)
    a, b = ca.SX.sym("a", M), ca.SX.sym("b", M, M)
    slopes = ca.tanh(z)
    rows = [ca.vec(X) - ca.repmat(ca.vec(x), degree, 1) - h * ca.vec(slopes @ tableau.A.T)]
    for i in range(degree):
        stage = ca.reshape(X[:, i], M, S)
        rows.append(ca.vec(ca.reshape(z[:, i], M, S) - ca.repmat(a, 1, S) + b @ stage / M))
    layer = ca.Function("layer", [ca.vec(x), ca.vec(X), ca.vec(z), a, ca.vec(b)], [X[:, -1], ca.vertcat(*rows)])
    sizes = {"X": M * S * degree, "z": M * S * degree, "a": M, "b": M * M}
    v = {name: ca.MX.sym(name, size, layers) for name, size in sizes.items()}
    states = ca.MX.sym("x", M * S, layers + 1)
    ends, residuals = layer.map(layers)(states[:, :-1], v["X"], v["z"], v["a"], v["b"])
    target = np.random.default_rng(0).normal(size=M * S)
    cost = ca.sumsqr(states[:, -1] - target) / (2 * M * S)
    g = ca.vertcat(ca.vec(states[:, 1:] - ends), ca.vec(residuals))
    w = ca.vertcat(ca.vec(states), *[ca.vec(part) for part in v.values()])
    ca.nlpsol("plain", "ipopt", {"x": w, "f": cost, "g": g}, QUIET)


def cpu(function, *arguments) -> float:
    clock = time.process_time()
    function(*arguments)
    return time.process_time() - clock


def solved(M: int, layers: int, degree: int, reduction: str, through: tuple[int, ...] = ()):
    """CPU seconds and the solution, ``through`` smaller widths first."""
    clock, solution = time.process_time(), None
    method = ocdl.Ipopt(tolerance=1e-8, reduction=reduction)
    for width in (*through, M):
        grid = ocdl.Grid(ocdl.Midpoint(width), ocdl.Radau(layers, degree))
        solution = ocdl.solve(problem(width), grid, method, start=solution, on_failure="return")
    return time.process_time() - clock, solution


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also M = 256, and M = 1000 alone and through M = 250")
    parser.add_argument("--plain", action="store_true", help="also the plain build of the large S = 20 case (minutes)")
    parser.add_argument("--figure", help="draw the growth there")
    given = parser.parse_args()

    print("build                              ours / s   plain CasADi / s   ratio")
    for M, S, layers, degree in ((4, 1, 10, 2), (8, 2, 20, 3), (16, 1, 50, 3), (8, 20, 50, 3)):
        ours = cpu(build_ours, M, S, layers, degree)
        line = f"S = {S:2d}, M = {M:2d}, N = {layers}, Radau {degree}       {ours:8.2f}"
        if S < 20 or given.plain:
            plain = cpu(build_plain, M, S, layers, degree)
            line += f"   {plain:16.2f}   {plain / ours:5.1f}"
        print(line, flush=True)
    print(f"peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")

    print("\nsolve, far target              CPU s      J             own cost − referee's")
    times = {}
    for M, form in ((16, "none"), (16, "rank-one"), (64, "none"), (64, "rank-one")):
        times[M, form], solution = solved(M, 50, 3, form)
        apart = solution.claim["cost"] - solution.cost
        print(f"M = {M:3d}, Radau 3, {form:9}   {times[M, form]:9.2f}   {solution.cost:.10f}   {apart:.1e}", flush=True)
    for M in (16, 64):
        print(f"M = {M}: the rank-one form is {times[M, 'none'] / times[M, 'rank-one']:.1f} times faster")
    for M, through in ((256, ()), (1000, (250,)), (1000, ())) if given.large else ():
        seconds, solution = solved(M, 50, 2, "rank-one", through)
        apart = solution.claim["cost"] - solution.cost
        way = "".join(f" through M = {width}" for width in through)
        print(f"M = {M:4d}, Radau 2, rank-one   {seconds:9.2f}   {solution.cost:.10f}   {apart:.1e}{way}", flush=True)

    growth = {
        "N": [(layers, *_per_iteration(32, layers)) for layers in (25, 50, 100, 200)],
        "M": [(M, *_per_iteration(M, 50)) for M in (16, 32, 64, 128)],
    }
    for letter, rows in growth.items():
        sizes, seconds = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        order = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        shown = ", ".join(f"{letter} = {size}: {1e3 * second:.0f} ms" for size, second in rows)
        print(f"\none iteration, rank-one, Radau 2: {shown}; grows like {letter}^{order:.2f}")
    if given.figure:
        draw(growth, given.figure)


def _per_iteration(M: int, layers: int) -> tuple[float]:
    seconds, solution = solved(M, layers, 2, "rank-one")
    return (seconds / max(len(solution.history["cost"]), 1),)


def draw(growth: dict[str, list[tuple[int, float]]], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (letter, rows) in zip(figure.subplots(1, 2), growth.items(), strict=True):
        sizes, seconds = zip(*rows, strict=True)
        axes.loglog(sizes, seconds, "o-", label="measured")
        axes.loglog(sizes, seconds[0] * np.array(sizes) / sizes[0], ":", label="linear")
        axes.set_xticks(sizes, sizes)
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        axes.set_xlabel(letter)
        axes.set_ylabel("CPU seconds an iteration")
        axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
