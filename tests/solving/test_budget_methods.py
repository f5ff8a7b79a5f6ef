"""Budgets at the public door: every method keeps them or says that it cannot; every start keeps them."""

import numpy as np
import pytest
from families import concrete, scalar

import ocdl
from ocdl.solving.start import make_start
from ocdl.statement.spending import spent

DEPTH = ocdl.ExplicitEuler((0.1, 0.2, 0.3, 0.4))


def problem(**changes):
    given = {
        "dynamics": lambda x, u: [u[0] - x[0]],
        "terminal": lambda x: (x[0] - 1.0) ** 2,
        "effort": lambda u: 0.1 * u[0] ** 2,
        "bounds": ocdl.Box(u=(-1, 3)),
        "budgets": [ocdl.Budget(0, 0.7)],
    }
    return scalar(**given | changes)


METHODS = [method for method in concrete(ocdl.Method, "solve") if not method.__subclasses__()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_every_method_keeps_a_budget_or_refuses_it(method):
    if not method.budgets:
        with pytest.raises(ocdl.NotSupported, match=r"does not keep Budget\(control='u0', total=0.7\)|not budgets="):
            ocdl.solve(problem(), DEPTH, method())
        return
    found = ocdl.solve(problem(), DEPTH, method())
    assert found.status is ocdl.Status.CONVERGED and found.stationarity < 1e-4
    assert spent(problem(), DEPTH, found.controls["u"].values)[0] == pytest.approx(0.7, abs=1e-9)


def test_every_start_keeps_it():
    core, given = problem(), {"u": np.full((4, 1), 3.0)}
    other = ocdl.solve(problem(budgets=()), ocdl.ExplicitEuler(7), ocdl.LBFGSB())
    for start, seed in ((None, None), (None, 3), (given, None), (other, None), ({}, None)):
        u = make_start(core, DEPTH, start, seed).u
        assert spent(core, DEPTH, u)[0] == pytest.approx(0.7, abs=1e-13) and np.all((u >= -1) & (u <= 3))


def test_the_reduced_space_and_phases_refuse_it():
    with pytest.raises(ocdl.NotSupported, match="it has no rows, and this problem has Budget"):
        ocdl.solve(problem(), DEPTH, ocdl.Ipopt(space="reduced"))
    with pytest.raises(ocdl.NotSupported, match=r"phases take no budgets"):
        ocdl.solve(ocdl.Phases({"one": problem(), "two": scalar(initial=[ocdl.Free()])}), DEPTH, ocdl.Ipopt())


@pytest.mark.parametrize("scheme", [ocdl.Radau(4, 2), ocdl.Kutta4(4), ocdl.Gauss(3, 2)], ids=repr)
@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=repr)
def test_it_is_what_the_same_integral_as_a_state_gives(scheme, shape):
    depth = type(scheme)(**vars(scheme) | {"controls": shape})
    if not shape.suits(depth.tableau.c):
        return
    stated = problem(budgets=(), integral=lambda u: u[0], bounds=ocdl.Box(u=(-1, 3), integral=(0.7, 0.7)))
    one, other = (ocdl.solve(each, depth, ocdl.Ipopt(tolerance=1e-10)) for each in (problem(), stated))
    assert one.cost == pytest.approx(other.cost, abs=1e-9)
    np.testing.assert_allclose(one.controls["u"], other.controls["u"], atol=1e-6)
    price = other.costate.values[0, 0, 1]  # of the integral so far, whose costate is constant
    (spending,) = one.summary().budgets
    assert spending.multiplier == pytest.approx(price, abs=1e-6) == one.claim["multiplier of u0"]


def test_the_units_of_the_solver_change_nothing():
    plain = ocdl.solve(problem(), DEPTH, ocdl.Ipopt())
    scaled = ocdl.solve(problem(), DEPTH, ocdl.Ipopt(scales={"u": 100.0, "x": 0.01}))
    assert scaled.cost == pytest.approx(plain.cost, abs=1e-8)
    assert scaled.claim["multiplier of u0"] == pytest.approx(plain.claim["multiplier of u0"], abs=1e-6)


def test_a_budget_that_other_constraints_forbid_is_named():
    blocked = problem(path=lambda u: u[0] - 0.5)
    with pytest.raises(ocdl.SolveFailed, match="budget of u0"):
        ocdl.solve(blocked, DEPTH, ocdl.Ipopt())
