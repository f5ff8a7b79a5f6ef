"""Algebraic variables by equations: the same problem as with the formula, on every route, and what is refused."""

import casadi as ca
import numpy as np
import pytest

import ocdl

GRID = ocdl.Radau(layers=10, degree=2)
EXPLICIT = {"lift": lambda x, u, p: [ca.log(x[0] + 0.1 * u[0] ** 2), p[0] * x[0]]}
IMPLICIT = {
    "lift": ocdl.Implicit(
        lambda x, u, p, z: [ca.exp(z[0]) - x[0] - 0.1 * u[0] ** 2, z[1] - p[0] * x[0] + ca.exp(z[0]) - ca.exp(z[0])],
        unknowns=2,
        guess=lambda x: [0.5, x[0]],
    )
}


def reactor(**changed):
    stated = {
        "states": ["x"],
        "controls": 1,
        "parameters": 1,
        "dynamics": lambda u, z: -z[0] + u[0] - 0.1 * z[1],
        "initial": [2.0],
        "horizon": 1.0,
        "running": lambda u, z: (z[0] - 0.3) ** 2 + 0.1 * u[0] ** 2 + z[1] ** 2,
        "penalty": lambda p: (p[0] - 1.0) ** 2,
        "bounds": ocdl.Box(u=(-1, 1), p=(0, 2)),
    }
    return ocdl.ControlProblem(**{**stated, **IMPLICIT, **changed})


@pytest.mark.parametrize(
    ("method", "grid"),
    [
        (ocdl.Ipopt(), GRID),
        (ocdl.Ipopt(), ocdl.MultipleShooting(10, steps=2)),
        (ocdl.Ipopt(space="reduced"), GRID),
        (ocdl.InteriorPoint(), GRID),
        (ocdl.ProjectedGradient(tolerance=1e-5), GRID),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_route_finds_what_it_finds_with_the_formula(method, grid):
    implicit = ocdl.solve(reactor(), grid, method)
    explicit = ocdl.solve(reactor(**EXPLICIT), grid, method)
    assert implicit.cost == pytest.approx(explicit.cost, abs=1e-10)
    assert implicit.costate.values == pytest.approx(explicit.costate.values, abs=1e-7)
    assert implicit.gap == pytest.approx(explicit.gap, abs=1e-7)
    assert implicit.certificate.cost == pytest.approx(explicit.certificate.cost, abs=1e-10)


def test_a_free_horizon_reaches_the_equations_as_true_depth():
    """ẋ = z, z = t by an equation: x(T) = T²/2 = 2 where T = 2."""
    problem = ocdl.ControlProblem(
        controls=0,
        dynamics=lambda z: z,
        lift=ocdl.Implicit(lambda t, z: z - t),
        initial=[0.0],
        final=[2.0],
        horizon=ocdl.Free(1.0, 5.0),
    )
    assert ocdl.solve(problem, GRID, ocdl.Ipopt()).horizon == pytest.approx(2.0, abs=1e-9)


def test_where_there_is_no_root_there_is_no_answer():
    root = ocdl.Implicit(lambda x, z: z**2 - x, guess=1.0)
    x = ca.SX.sym("x")
    run = ca.Function("run", [x], [root(x=x), ca.gradient(root(x=x), x)])
    assert [float(value) for value in run(4.0)] == pytest.approx([2.0, 0.25])
    assert np.isnan(float(run(-1.0)[0]))
    falling = reactor(lift=root, dynamics=lambda z: z - 2, running=lambda u: u[0] ** 2, initial=[0.5])
    with pytest.raises(ocdl.SolveFailed):
        ocdl.solve(falling, GRID, ocdl.ProjectedGradient())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: reactor(lift=ocdl.Implicit(lambda x, z: x - 1 + 0 * z)), "index is above 1"),
        (lambda: reactor(lift=ocdl.Implicit(lambda x, z: [z[0] + z[1], z[0] + z[1] - x], unknowns=2)), "above 1"),
        (lambda: reactor(lift=ocdl.Implicit(lambda x, z: [z, x])), "1 expression"),
        (lambda: reactor(lift=ocdl.Implicit(lambda x, q, z: z - x - q)), "taken by name"),
        (lambda: ocdl.Implicit(lambda x: x), "function of z"),
        (lambda: ocdl.Implicit(3), "give a function"),
        (lambda: ocdl.Implicit(lambda z: z, unknowns=0), "whole number"),
        (lambda: ocdl.Implicit(lambda z: z, guess=[1, 2]), "one number or 1"),
    ],
)
def test_equations_that_define_nothing_are_refused(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
