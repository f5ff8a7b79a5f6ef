"""Ends that follow from others, or contradict them, are named before anything else is blamed."""

from __future__ import annotations

import casadi as ca
import pytest

import ocdl
from ocdl.solving.redundancy import dependent_ends


def exchange(**changes) -> ocdl.ControlProblem:
    """x1 + x2 is conserved: 1.5."""
    return ocdl.ControlProblem(
        **{
            "states": ["x1", "x2"],
            "dynamics": lambda x, u: [u[0] * x[1] - x[0], x[0] - u[0] * x[1]],
            "initial": [1.0, 0.5],
            "final": [0.6, 0.9],
            "horizon": 1.0,
            "running": lambda u: ca.sumsqr(u),
        }
        | changes
    )


def cart(**changes) -> ocdl.ControlProblem:
    return exchange(
        **{"states": ["x", "v"], "dynamics": lambda x, u: [x[1], u], "initial": [0, 0], "final": [1, 0]} | changes
    )


TOLD = [
    (exchange(), "Redundant: x1(T) + x2(T) = 1.5"),
    (
        exchange(final=[0.6, 0.8]),
        "Contradiction: x1(T) + x2(T) = 1.5 follows from the dynamics and the start alone, and 1.4",
    ),
    (exchange(horizon=ocdl.Free(0.5, 2)), "one of x1(T), x2(T) is prescribed needlessly"),
    (
        exchange(initial=[[1, 0.5], [0.5, 0.5]], final=[[0.6, 0.9], [0.4, None]]),
        "x1(T) of sample 0 + x2(T) of sample 0",
    ),
    (cart(dynamics=lambda x, u: [-x[0], u], initial=[1, 0]), "Contradiction: x(T) = 0.36"),
    (cart(boundary=lambda xT: 2 * xT[0] - 2), "Redundant: x(T) − 0.5 boundary row 0 = 1"),
    (cart(boundary=lambda x0: x0[0]), "Redundant: boundary row 0 = 0"),
    (
        cart(final=None, boundary=lambda xT: [xT[0] - 1, xT[1], xT[0] - xT[1] - 2]),
        "Contradiction: boundary row 0 − boundary row 1 − boundary row 2 = 1 follows",
    ),
    (
        cart(dynamics=lambda x, u: [-u[0] * x[1], u[0] * x[0]], initial=[1, 0], final=[0, 1.1]),
        "The ends x(T), v(T) are not independent",
    ),
]


@pytest.mark.parametrize(("problem", "said"), TOLD)
def test_what_follows_is_named(problem, said):
    assert said in dependent_ends(problem)


@pytest.mark.parametrize(
    "problem",
    [
        cart(),
        cart(final=[1, None]),
        cart(final=None),
        cart(initial=[ocdl.Free(-1, 1), 0], boundary=lambda x0, xT: x0[0] - xT[0] + 1),
        exchange(final=[0.6, None]),
        exchange(final=[0.6, ocdl.Free(0, 1)]),
        exchange(dynamics=lambda x, u: [u[0] * x[1] - x[0], x[0] - 0.99 * u[0] * x[1]]),
    ],
)
def test_independent_ends_are_not_accused(problem):
    assert dependent_ends(problem) == ""


def test_a_failed_solve_says_so_and_a_redundant_end_does_not_fail_it():
    with pytest.raises(ocdl.SolveFailed, match=r"Contradiction: x1\(T\) \+ x2\(T\) = 1\.5"):
        ocdl.solve(exchange(final=[0.6, 0.8]), ocdl.Radau(4, 3), ocdl.Ipopt())
    assert ocdl.solve(exchange(), ocdl.Radau(4, 3), ocdl.Ipopt()).status is ocdl.Status.CONVERGED
