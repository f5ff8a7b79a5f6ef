"""How fast does a network of one kernel settle, and how much of that does Theorem 3.4 of Liu and Markowich know?

∂t f = tanh(a − Bf),  B = Σ μ_l (ψ_l, ·) φ_l,  μ = (1, ½, ¼),  ψ = (1, √2 cos πy, √2 cos 2πy),  a = B sin 3y,  T = 40,

where the first two φ are ψ turned by an angle in their plane. The theorem guarantees the rate λ_min of the symmetric
part of DT, D = diag(μ), T = ((φ_l, ψ_n)), as long as that is positive; the linear equation decays at min Re ω, ω the
eigenvalues of DT. Up to about 1.23 both are there; then the theorem is silent, although the states still settle until
a right angle; beyond, they don't. Rates of u = a − Bf are measured at the end, where it is small: from f_I = 0.3 y², or
from beside a steady state that is not stable.

What has no rate at all: B = (ψ, ·)φ with ψ ⊥ tanh φ, for which f = f_I + t tanh φ grows for ever (section 3.3).

``python examples/steady_states.py`` prints the table and saves ``steady_states.png``.
"""

import numpy as np

import ocdl
from ocdl.analysis import Flow, KernelOperator, equilibrium, gram_stability, linear_stability, measured_rate

WIDTH = ocdl.GaussLegendre(24)
ANGLES = (0.0, 0.5, 1.3, 1.8)


def waves(y):
    return np.stack([np.ones_like(y), np.sqrt(2) * np.cos(np.pi * y), np.sqrt(2) * np.cos(2 * np.pi * y)])


def kernel(angle: float) -> KernelOperator:
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return KernelOperator.finite_rank([1.0, 0.5, 0.25], lambda y: turn @ waves(y), waves, WIDTH)


def network(angle: float) -> Flow:
    B = kernel(angle)
    return Flow.selection(ocdl.Tanh(), B(np.sin(3 * B.nodes.points)), B, horizon=40.0)


def growing() -> tuple[Flow, np.ndarray]:
    """A flow whose u rests at φ, and φ."""
    nodes = WIDTH.on((0, 1))
    y, w = nodes.points, nodes.weights
    phi = (1 + y) / np.sqrt(w @ (1 + y) ** 2)
    sigma, psi = np.tanh(phi), np.cos(2 * y)
    psi = psi - (w @ (psi * sigma)) / (w @ sigma**2) * sigma
    return Flow.selection(ocdl.Tanh(), 0.7 * phi, KernelOperator(np.outer(phi, psi), nodes), horizon=40.0), phi


rows = []
for angle in ANGLES:
    flow = network(angle)
    linear, gram = linear_stability(flow), gram_stability(flow)
    beside = linear.steady.least_norm + 1e-5
    evolution = flow.evolve(beside if gram.verdict == "unstable" else lambda y: 0.3 * y**2)
    tail = 0.5 if gram.eigenvalues[0].imag else 0.25  # over some turns of modes that turn
    rows.append((angle, linear, gram, evolution, float(measured_rate(evolution, tail=tail)[0])))

rank_one, phi = growing()
resting = equilibrium(rank_one, phi)
grown = rank_one.evolve(resting.initial)
error = float(np.abs(grown.x[:, 0] - resting.solution(grown.t)).max())


def draw(rows, grown):
    """Spectra, ‖u‖ with the rates of the linear equation, and the states that grow."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), constrained_layout=True)
    ocdl.plot_spectrum({f"{angle} rad": linear for angle, linear, *_ in rows}, axes=axes[0])
    for j, (angle, _, gram, evolution, _) in enumerate(rows):
        colour = axes[0].collections[j].get_facecolor()
        size = evolution.flow.norm(evolution.preactivation)[:, 0]
        line = size[-1] * np.exp(gram.rate * (40.0 - evolution.t))
        axes[1].semilogy(evolution.t, line, color=colour, ls=":", lw=1)
        axes[1].semilogy(evolution.t, size, color=colour, label=f"{angle} rad: rate {gram.rate:.3f}")
    axes[1].set(title="‖u‖, and e$^{-rate\\,t}$ (dotted)", xlabel="depth t", ylabel="‖a − Bf‖")
    axes[1].legend(fontsize=8)
    y = WIDTH.on((0, 1)).points
    for k in range(0, grown.t.size, 10):
        axes[2].plot(y, grown.x[k, 0], color=plt.cm.viridis(k / grown.t.size), label=f"t = {grown.t[k]:.0f}")
    axes[2].set(title="f = f$_I$ + t tanh φ", xlabel="y", ylabel="f(y, t)")
    axes[2].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("Agg")
    print(f"{'angle':>5} {'λ_min of DT':>12} {'min Re ω':>9} {'measured':>10}  {'u = 0':<22} Theorem 3.4 says")
    for angle, _, gram, _, measured in rows:
        print(
            f"{angle:5} {gram.guaranteed:12.6f} {gram.rate:9.6f} {measured:10.7f}  {gram.verdict:<22} "
            f"{gram.finding.says}"
        )
    print(f"f = f_I + t tanh φ: off by {error:.1e} up to T = 40; {resting.growing.says}")
    print(rows[1][2].finding)
    draw(rows, grown).savefig("steady_states.png", dpi=110)
