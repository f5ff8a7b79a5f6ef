"""Paper 002's sine: five neurons, T = 5, twenty layers; the loss by iterations, sweeps and seconds.

ẋ = tanh(W x + b), x(0) five copies of ξ ∈ [−π, π], loss (Σ x_i(T) − sin ξ)², averaged. From a good start (W truncated
normal with deviation 0.1, b = 0.1) and from zero, where all five components are equal and equivariant methods keep
them so; there every method starts from the same perturbation U(±0.005).
Source: Li, Chen, Tai and E, J. Mach. Learn. Res. 18 (2018), section 5, figure 1.
"""

import sys
import time

import casadi as ca
import numpy as np

import ocdl
from ocdl.method import Start
from ocdl.pmp.iterate import Ground

DEPTH = ocdl.ExplicitEuler(20)


def problem(samples: int = 1000) -> ocdl.ControlProblem:
    xi = np.linspace(-np.pi, np.pi, samples)
    return ocdl.ControlProblem(
        dynamics=lambda x, u: np.tanh(ca.reshape(u[:25], 5, 5) @ x + u[25:]),
        terminal=lambda x, d: (ca.sum1(x) - d[0]) ** 2,
        initial=np.repeat(xi[:, None], 5, axis=1),
        data=np.sin(xi)[:, None],
        horizon=5.0,
        controls=30,
    )


def starts() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    weights = 0.1 * np.clip(generator.standard_normal((20, 25)), -2.0, 2.0)
    return {
        "good": np.concatenate([weights, np.full((20, 5), 0.1)], axis=1),
        "zero": generator.uniform(-0.005, 0.005, (20, 30)),
    }


def first_order(rule: str, rate: float, u: np.ndarray, statement: ocdl.ControlProblem, seconds: float) -> tuple:
    """SGD, Adagrad and Adam on the full batch, with the plain gradient of the discrete cost."""
    ground, first, second = Ground(statement, DEPTH), np.zeros_like(u), np.zeros_like(u)
    costs, clock, k = [], time.perf_counter(), 0
    while time.perf_counter() - clock < seconds:
        iterate, k = ground.at(u, np.zeros(0)), k + 1
        costs.append(iterate.cost)
        g = iterate.adjoint.gradient_u
        if rule == "SGD":
            step = g
        elif rule == "Adagrad":
            second = second + g**2
            step = g / (np.sqrt(second) + 1e-8)
        else:
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
            step = first / (1 - 0.9**k) / (np.sqrt(second / (1 - 0.999**k)) + 1e-8)
        u = u - rate * step
    return costs, time.perf_counter() - clock


def main(samples: int, seconds: float) -> None:
    statement = problem(samples)
    msa = ocdl.ExtendedSuccessiveApproximations
    methods = {
        "E-MSA, rho = 1": msa(penalty=1.0, max_iterations=10),
        "E-MSA, adaptive": msa(penalty=0.1, adaptive=True, max_iterations=10),
        "SQH": ocdl.SequentialQuadraticHamiltonian(max_iterations=10),
        "L-BFGS-B": ocdl.LBFGSB(max_iterations=1, round_iterations=300),
    }
    print(f"{'start':>6} {'method':>18} {'iterations':>10} {'after 5':>10} {'after 10':>10} {'end':>10} {'seconds':>8}")
    for name, u in starts().items():
        for label, method in methods.items():
            clock = time.perf_counter()
            outcome = method.solve(statement, DEPTH, Start(u.copy(), np.zeros(0)), progress=False)
            show(name, label, outcome.history["cost"], time.perf_counter() - clock)
        for rule, rate in (("SGD", 0.01), ("Adagrad", 0.05), ("Adam", 0.01)):
            show(name, rule, *first_order(rule, rate, u.copy(), statement, seconds))


def show(start: str, label: str, costs: list[float], seconds: float) -> None:
    at = [costs[min(k, len(costs) - 1)] for k in (5, 10)]
    line = f"{start:>6} {label:>18} {len(costs) - 1:10d} {at[0]:10.2e} {at[1]:10.2e} {min(costs):10.2e} {seconds:8.1f}"
    print(line, flush=True)


if __name__ == "__main__":
    main(*(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, float(sys.argv[2]) if len(sys.argv) > 2 else 5.0))
