"""The learning rate of stochastic gradient descent as a control: at full rate first, then as 1/t.

On f(θ) = ½ a θ² with gradient noise of variance S, SGD at a share u of its largest rate is

    dθ = −u a θ dt + u √S dW,   m = E f(θ):   m' = −2 a u m + ½ a S u²,   .01 ≤ u ≤ 1,  m(0) = 1,  minimise m(T).

H = p m' with p > 0 is least at u = min(1, 2m/S): u = 1, m = S/4 + (1 − S/4) e^{−2at} until m = S/2 at
t_s = log(4/S − 1)/(2a), then m' = −2am²/S, 1/m = 2/S + 2a(t − t_s)/S. With a = 1, S = .2, T = 3: t_s = 1.4722195 and
m(T) = .03956039679. (Paper 004 prints (47) without the factor 2 that its (45) gives.) A feedback u(t, θ) that sees θ
does better: it waits where θ is small by chance.

batch_size: u = 1, but a batch of B ∈ [1, 8] samples has the variance S/B and costs c B a unit of time,

    m' = −2 a m + ½ a S/B,   J = m(T) + c ∫ B dt:   B = √(a S/(2c)) e^{−a(T − t)}, clipped, which grows until the end.

momentum: dθ = v dt, dv = −(γ v + a θ) dt + √S dW, and the friction γ ∈ [.5, 8] is the control; its five moments close.
Sources: Li, Tai and E (2017), "Stochastic modified equations and adaptive stochastic gradient algorithms", sections 4
and 5; Liu and Theodorou, "Deep learning theory review", section 4.4; Smith et al. (2018), "Don't decay the learning
rate, increase the batch size".
"""

import numpy as np

import ocdl

A, S, BEGIN, T = 1.0, 0.2, 1.0, 3.0
RATES = (0.01, 1.0)
SWITCH = np.log((4.0 * BEGIN - S) / S) / (2.0 * A)
REFERENCE = 1.0 / (2.0 / S + 2.0 * A * (T - SWITCH) / S)
DIGITS = 1e-8
SAMPLE_COST = 0.002
BATCHES = (1.0, 8.0)


BY_VALUE = ocdl.ValueIteration(domain=(0.0, 1.1), nodes=81, steps=60)


def problem() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["m"],
        controls=["u"],
        dynamics=lambda m, u: -2 * A * u * m + A * S * u**2 / 2,
        initial=[BEGIN],
        horizon=T,
        terminal=lambda m: m,
        bounds=ocdl.Box(u=RATES),
    )


def optimal(t: float) -> float:
    """u of the deterministic problem."""
    return float(1.0 / (1.0 + A * max(t - SWITCH, 0.0)))


def stochastic(rates=RATES) -> ocdl.ControlProblem:
    """The same in θ; ``rates``: bounds of u, numbers or functions of t."""
    return ocdl.ControlProblem(
        states=["theta"],
        controls=["u"],
        dynamics=lambda theta, u: -u * A * theta,
        noise=lambda u: np.sqrt(S) * u,
        initial=[np.sqrt(2.0 * BEGIN / A)],
        horizon=T,
        terminal=lambda theta: A * theta**2 / 2,
        bounds=ocdl.Box(u=rates),
    )


def batch_size() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["theta"],
        controls=["B"],
        dynamics=lambda theta: -A * theta,
        noise=lambda B: np.sqrt(S / B),
        initial=[np.sqrt(2.0 * BEGIN / A)],
        horizon=T,
        running=lambda B: SAMPLE_COST * B,
        terminal=lambda theta: A * theta**2 / 2,
        bounds=ocdl.Box(B=BATCHES),
    )


def best_batch(t: np.ndarray) -> np.ndarray:
    return np.clip(np.sqrt(A * S / (2.0 * SAMPLE_COST)) * np.exp(-A * (T - t)), *BATCHES)


def momentum() -> ocdl.ControlProblem:
    return ocdl.ControlProblem(
        states=["theta", "v"],
        controls=["gamma"],
        dynamics=lambda theta, v, gamma: [v, -gamma * v - A * theta],
        noise=[0.0, np.sqrt(S)],
        initial=[np.sqrt(2.0 * BEGIN / A), 0.0],
        horizon=T,
        terminal=lambda theta: A * theta**2 / 2,
        bounds=ocdl.Box(gamma=(0.5, 8.0)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=40, degree=3)


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt(), ocdl.ProjectedGradient(), ocdl.SuccessiveApproximations(), BY_VALUE]
