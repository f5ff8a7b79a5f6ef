"""How many sweeps does Picard's iteration need, and is its proven error bound worth having?

f^{n+1}(t) = f_I + ∫_0^t σ(a − B fⁿ) dτ for ∂t f = σ(a − Bf), C_2 = sup |σ'| T ‖b‖ (Liu and Markowich, Theorem 3.1).
Their proof has ‖f^{m+1} − f^m‖ ≤ C_2^m ‖f¹ − f⁰‖, of use for C_2 < 1 only; Volterra's estimate has C_2^m/m!, and so the
iteration converges over any depth, as is seen at C_2 = 6. As a solver it goes on in windows of C_2 ≤ ½, narrower at
kinks of σ, and bounds its own error: iteration, quadrature and rounding, grown by e^{C_2} from window to window.

``python examples/picard.py`` prints the tables and saves ``picard.png``.
"""

from math import factorial

import numpy as np

import ocdl
from ocdl.analysis import Flow, KernelOperator, picard, picard_factor

WIDTH = ocdl.GaussLegendre(12)
B = KernelOperator.of(lambda y, z: 2 * np.cos(3 * y - 2 * z) - np.exp(-y * z), WIDTH)
ACTIVATIONS = {"tanh": ocdl.Tanh(), "ReLU": ocdl.ReLU()}
TOLERANCES = [1e-5, 1e-8, 1e-11]


def initial(y):
    return np.stack([np.sin(3 * y), 1 - 2 * y])


def flow(activation, factor):
    """The flow as far as C_2 = factor."""
    unit = Flow.selection(activation, lambda y: 0.5 * np.cos(4 * y), B, 1.0)
    return unit.with_horizon(factor / picard_factor(unit)[0])


def sweeps(factor):
    """‖f^{m+1} − f^m‖ of one window as far as C_2 = factor, and the two bounds, all (n,)."""
    (window,) = picard(flow(ocdl.Tanh(), factor), initial, factor=factor, degree=40, tolerance=1e-12).windows
    steps, m = window.steps.max(axis=1), range(window.sweeps)
    return steps, steps[0] * np.array([factor**k / factorial(k) for k in m]), steps[0] * factor ** np.array(m)


def solved(activation, factor=3.0):
    """Windows, sweeps, proven bound and error of each tolerance."""
    equation, rows = flow(activation, factor), []
    exact = equation.evolve(initial, tolerance=1e-14)
    for tolerance in TOLERANCES:
        found = picard(equation, initial, tolerance=tolerance)
        error = equation.norm(found.evolution.x - exact.x).max()
        rows.append((len(found.windows), sum(w.sweeps for w in found.windows), found.bound.max(), error))
    return rows


courses = {factor: sweeps(factor) for factor in (0.5, 6.0)}
rows = {name: solved(activation) for name, activation in ACTIVATIONS.items()}


def draw(courses, rows):
    """The steps of the iteration under their bounds, and errors under theirs."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    for axis, (factor, (steps, volterra, contraction)) in zip(axes, courses.items(), strict=False):
        m = np.arange(steps.size)
        axis.semilogy(m, contraction, "--", color="#D55E00", label="C$_2^m$ ‖f¹ − f⁰‖")
        axis.semilogy(m, volterra, "-", color="#0072B2", label="C$_2^m$/m! ‖f¹ − f⁰‖")
        axis.semilogy(m, np.fmax(steps, 1e-17), "o", ms=4, color="#222222", label="‖f$^{m+1}$ − f$^m$‖")
        axis.set(title=f"C$_2$ = {factor:g}", xlabel="sweep m", ylabel="maximum over t")
    for (name, table), marker, colour in zip(rows.items(), "os", ("#009E73", "#CC79A7"), strict=True):
        bound, error = np.array(table)[:, 2:].T
        axes[2].loglog(TOLERANCES, bound, f"{marker}-", color=colour, label=f"{name}, proven bound")
        axes[2].loglog(TOLERANCES, error, f"{marker}:", color=colour, label=f"{name}, error")
    axes[2].set(title="C$_2$ = 3, in windows", xlabel="tolerance", ylabel="maximum over t")
    for axis in axes:
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    for factor, (steps, volterra, _) in courses.items():
        share = (steps / volterra)[1:].max()
        print(f"C_2 = {factor:g}: {steps.size} sweeps, their steps at most {share:.2f} of Volterra's bound")
    print(f"{'':5} {'tolerance':>10} {'windows':>8} {'sweeps':>7} {'bound':>9} {'error':>9}")
    for name, table in rows.items():
        for tolerance, (windows, count, bound, error) in zip(TOLERANCES, table, strict=True):
            print(f"{name:5} {tolerance:10.0e} {windows:8d} {count:7d} {bound:9.1e} {error:9.1e}")
    draw(courses, rows).savefig("picard.png", dpi=110)
