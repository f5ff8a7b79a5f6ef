"""What do controls that were found on S samples say of the population the samples are drawn from?

ẋ = tanh(u x + v), x(0) ~ N(0, 1), T = 2, is to reach sin 2x(0): J = ½ E (x(T) − sin 2x(0))² + ½·0.05 ∫ u² + v² dt. The
population's answer comes from Gauss–Hermite quadrature, J = 0.248497053 in continuous depth. Answers on S
independent samples approach it like S^{−½}, in controls and sampled cost, and their own error bars, from the curvature
of the sampled cost and the spread of its gradients, cover the population's optimum in 95 of 100 draws.

``python examples/population.py`` draws more often, prints the tables and saves ``population.png``.
"""

import numpy as np

import ocdl

GRID = ocdl.ExplicitEuler(layers=8)
COUNTS = [20, 320]
REPEATS = 8


def statement(points: np.ndarray, weights: np.ndarray) -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        dynamics=lambda x, u: np.tanh(u[0] * x + u[1]),
        initial=points,
        data=np.sin(2 * points),
        weights=weights,
        horizon=2.0,
        controls=2,
        terminal=lambda x, d: 0.5 * (x[0] - d[0]) ** 2,
        effort=lambda u: 0.025 * (u[0] ** 2 + u[1] ** 2),
    )


problem = ocdl.PopulationProblem(ocdl.Normal(), statement)
fine = ocdl.solve(problem.quadrature(32), ocdl.Gauss(layers=10, degree=3, controls=ocdl.PerStage()), ocdl.Ipopt())
optimum = ocdl.solve(problem.quadrature(32), GRID, ocdl.LBFGSB())
best = optimum.controls["u"].values


def study(counts: list[int], repeats: int) -> dict[int, list[tuple[ocdl.Solution, ocdl.PopulationCertificate]]]:
    """Answers on draws of the population, with their certificates."""
    found: dict[int, list] = {count: [] for count in counts}
    for count in counts:
        for seed in range(repeats):
            sampled = problem.sampled(count, seed=1000 * count + seed)
            answer = ocdl.solve(sampled, GRID, ocdl.LBFGSB(), start=optimum, certificate="first order")
            judged = ocdl.population_certificate(problem, sampled, GRID, answer, fresh=2, resamples=0, seed=seed)
            found[count].append((answer, judged))
    return found


def errors(found: list[tuple[ocdl.Solution, ocdl.PopulationCertificate]]) -> tuple[float, float]:
    """Root mean squares of the errors of the controls, in L², and of the sampled cost."""
    in_u = [np.mean(np.sum((answer.controls["u"].values - best) ** 2, axis=1)) for answer, _ in found]
    in_J = [(judged.sampled_cost - optimum.cost) ** 2 for _, judged in found]
    return float(np.sqrt(np.mean(in_u))), float(np.sqrt(np.mean(in_J)))


def coverage(found: list[tuple[ocdl.Solution, ocdl.PopulationCertificate]]) -> tuple[float, float]:
    """Shares of the draws whose 95 % intervals hold J(u*), and u* entry by entry."""
    in_J = [judged.optimum.covers(optimum.cost) for _, judged in found]
    in_u = [np.abs(a.controls["u"].values - best) <= 1.96 * judged.standard_errors for a, judged in found]
    return float(np.mean(in_J)), float(np.mean(in_u))


found = study(COUNTS, REPEATS)
table = {count: (*errors(rows), *coverage(rows)) for count, rows in found.items()}
one_draw = problem.sampled(100, seed=7)
answer = ocdl.solve(one_draw, GRID, ocdl.LBFGSB(), start=optimum)
judged = ocdl.population_certificate(problem, one_draw, GRID, answer, fresh=300, resamples=10, seed=1)


def draw(table, answer, judged):
    """Errors against samples, and the controls of one draw with their bars."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), constrained_layout=True)
    counts = np.array(list(table))
    for column, name, colour in ((0, "controls", "C0"), (1, "sampled cost", "C1")):
        values = np.array([row[column] for row in table.values()])
        left.loglog(counts, values, "o-", color=colour, label=name)
        left.loglog(counts, values[0] * np.sqrt(counts[0] / counts), ":", color=colour, lw=1)
    left.set(xlabel="samples $S$", ylabel="root mean square error", title="dotted: $S^{-1/2}$")
    left.legend()
    t = np.arange(GRID.layers) * 2.0 / GRID.layers
    for j, (name, colour) in enumerate((("$u$", "C0"), ("$v$", "C1"))):
        values, bars = answer.controls["u"].values[:, j], 1.96 * judged.standard_errors[:, j]
        right.errorbar(
            t, values, bars, fmt="o", color=colour, capsize=3, ms=4, label=f"{name}, {judged.samples} samples"
        )
        right.plot(t, best[:, j], "_", color="k", ms=14, label="population" if j else None)
    right.set(xlabel="$t$")
    right.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    found = study([25, 50, 100, 200], 100)
    table = {count: (*errors(rows), *coverage(rows)) for count, rows in found.items()}
    print(f"population: J = {fine.cost:.12f} in continuous depth, {optimum.cost:.9f} on {GRID.layers} Euler layers")
    print(f"{'S':>5} {'error of u':>12} {'error of J':>12} {'covers J(u*)':>13} {'covers u*':>10}")
    for count, row in table.items():
        print(f"{count:5d} {row[0]:12.4f} {row[1]:12.4f} {row[2]:13.2f} {row[3]:10.2f}")
    print(judged)
    draw(table, answer, judged).savefig("population.png", dpi=110)
