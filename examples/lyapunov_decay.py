"""What does a symmetric kernel make of a signal that runs through it for long?

∂t f = tanh(a − Bf), B = Σ_l μ_l φ_l (φ_l, ·), μ = 1, ½, ¼, φ = 1, √2 cos πy, √2 cos 2πy, a = Bf∞, T = 40. With
u = a − Bf and Σ = log cosh,

    d/dt ∫Σ(u) dy = −(Bσ(u), σ(u)) ≤ 0,   d/dt ½‖B^{½}f − B^{−½}a‖² = −∫σ(u)u dy ≤ 0,

(Liu and Markowich, Theorem 3.2): both fall, and in the end at twice the smallest μ, as u ~ e^{−t/4}. Turn the kernel's
sign, and ∫Σ(u) grows; for σ(s) = max(s, 0) and b = −1 so does ∫|f| = eᵗ, just as fast as Gronwall's inequality allows.

``python examples/lyapunov_decay.py`` prints the table and saves ``lyapunov_decay.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import Flow, KernelOperator, gronwall, lyapunov

WIDTH = ocdl.GaussLegendre(24)
MU = [1.0, 0.5, 0.25]


def waves(y):
    return np.stack([np.ones_like(y), np.sqrt(2) * np.cos(np.pi * y), np.sqrt(2) * np.cos(2 * np.pi * y)])


def run(sign, horizon, bias=0.0):
    """The functionals from f_I = sin 3y, a = bias · B cos πy."""
    B = KernelOperator.finite_rank(sign * np.array(MU), waves, waves, WIDTH)
    a = bias * B(np.cos(np.pi * B.nodes.points))
    flow = Flow.selection(ocdl.Tanh(), a, B, horizon)
    return lyapunov(flow.evolve(lambda y: np.sin(3 * y), tolerance=1e-13), tolerance=1e-13)


stable, steered, unstable = run(1, 40.0), run(1, 40.0, bias=1.0), run(-1, 10.0)

relu = Flow.selection(ocdl.ReLU(), 0.0, KernelOperator.of(-1.0, WIDTH), 5.0)
growth = gronwall(relu.evolve(1.0, tolerance=1e-14))
exponential = float(np.abs(growth.measured[:, 0] / np.exp(growth.t) - 1.0).max())


def draw(stable, unstable, growth):
    """The functionals of the kernel and of its negative, and ∫|f| on its bound."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), constrained_layout=True)
    ocdl.plot_decay(stable, title="B ≥ 0: all fall", axes=axes[:2])
    t, values = unstable.potential.t, unstable.potential.values[:, 0]
    axes[2].semilogy(t, values, label="∫Σ(u) dy")
    axes[2].semilogy(t, values[0] - unstable.potential.spent[:, 0], "k:", label="∫Σ(u$_I$) dy − ∫(B$_s$σ, σ) dt")
    axes[2].set(title="−B: no decay", xlabel="depth t")
    axes[3].semilogy(growth.t, growth.bound[:, 0], lw=4, alpha=0.4, label="Gronwall's bound")
    axes[3].semilogy(growth.t, growth.measured[:, 0], label="∫|f| dy")
    axes[3].set(title="ReLU, b = −1: as bad as can be", xlabel="depth t")
    for axis in axes[2:]:
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(f"{'':24} {'∫Σ(u_I)':>9} {'∫Σ(u(T))':>10} {'rate of u':>10} {'falls':>6} {'identity':>9}  theorem says")
    for name, found in (("B, a = 0", stable), ("B, a = B cos πy", steered), ("−B, a = 0", unstable)):
        E = found.potential
        print(
            f"{name:24} {E.values[0, 0]:9.4f} {E.values[-1, 0]:10.3g} {0.5 * E.rate[-1, 0]:10.7f} {E.falls!s:>6} "
            f"{E.residual[0]:9.1e}  {E.finding.says}"
        )
    print(f"ReLU, b = −1, f_I = 1: ∫|f| = eᵗ to {exponential:.1e}, {growth.sharpness.min():.12f} of Gronwall's bound")
    draw(stable, unstable, growth).savefig("lyapunov_decay.png", dpi=110)
