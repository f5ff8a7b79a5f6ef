"""Two strains of tuberculosis: how much case finding and how much case holding, so that few carry the resistant strain.

S' = Λ − (β₁ S I₁ + β* S I₂)/N − μ S
T' = r₁ u₁ L₁ − μ T + (1 − (1 − u₂)(p + q)) r₂ I₁ − (β₂ T I₁ + β* T I₂)/N
L₁' = (β₁ S I₁ + β₂ T I₁ − β* L₁ I₂)/N − (μ + k₁) L₁ − r₁ u₁ L₁ + (1 − u₂) p r₂ I₁
L₂' = (1 − u₂) q r₂ I₁ − (μ + k₂) L₂ + β* (S + L₁ + T) I₂/N
I₁' = k₁ L₁ − (μ + r₂) I₁,   I₂' = k₂ L₂ − μ I₂,
T = 5,  0.05 ≤ u ≤ 0.95,  J = ∫ L₂ + I₂ + ½ B₁ u₁² + ½ B₂ u₂² dt,

Λ = μ N, N = 30000, (S, T, L₁, L₂, I₁, I₂)(0) = N/120 · (76, 1, 36, 2, 4, 1). The sum of all six stays N: a row that
says so is redundant, and may be stated (``total=True``).
Source: Jung, Lenhart and Feng, Discrete Contin. Dyn. Syst. B 2 (2002); Betts, "Practical methods for optimal control
and estimation using nonlinear programming" (2010), which prints 5152.07310.
"""

import casadi as ca
import numpy as np

import ocdl

N = 30000.0
B1, B2, MU = 50.0, 500.0, 0.0143
BETA1, BETA2, BETA_STAR = 13.0, 13.0, 0.029
K1, K2, R1, R2, P, Q = 0.5, 1.0, 2.0, 1.0, 0.4, 0.1
SHARES = np.array([76, 1, 36, 2, 4, 1]) / 120

REFERENCE = 5152.07312383  # refined to 1e-8
DIGITS = 1e-5
PUBLISHED, PUBLISHED_DIGITS = 5152.07310, 3e-5


def problem(*, total: bool = False) -> ocdl.ControlProblem:
    def dynamics(x: ca.SX, u: ca.SX) -> list[ca.SX]:
        S, T, L1, L2, I1, I2 = (x[i] for i in range(6))
        finding, holding = u[0], u[1]
        return [
            MU * N - (BETA1 * S * I1 + BETA_STAR * S * I2) / N - MU * S,
            R1 * finding * L1
            - MU * T
            + (1 - (1 - holding) * (P + Q)) * R2 * I1
            - (BETA2 * T * I1 + BETA_STAR * T * I2) / N,
            (BETA1 * S * I1 + BETA2 * T * I1 - BETA_STAR * L1 * I2) / N
            - (MU + K1) * L1
            - R1 * finding * L1
            + (1 - holding) * P * R2 * I1,
            (1 - holding) * Q * R2 * I1 - (MU + K2) * L2 + BETA_STAR * (S + L1 + T) * I2 / N,
            K1 * L1 - (MU + R2) * I1,
            K2 * L2 - MU * I2,
        ]

    return ocdl.ControlProblem(
        states=["S", "T", "L1", "L2", "I1", "I2"],
        controls=["finding", "holding"],
        dynamics=dynamics,
        initial=SHARES * N,
        horizon=5.0,
        running=lambda x, u: x[3] + x[5] + 0.5 * B1 * u[0] ** 2 + 0.5 * B2 * u[1] ** 2,
        path=(lambda x: ca.sum1(x) - N) if total else None,
        bounds=ocdl.Box(u=(0.05, 0.95), path=(0.0, 0.0)) if total else ocdl.Box(u=(0.05, 0.95)),
    )


def grid() -> ocdl.DepthScheme:
    return ocdl.Radau(layers=30, degree=3, controls=ocdl.PerStage())


def methods() -> list[ocdl.Method]:
    return [ocdl.Ipopt()]
