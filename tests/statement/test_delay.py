"""Delays by the method of steps: exact solutions, constraints in every piece, and the way back."""

import numpy as np
import pytest

import ocdl

GRID = ocdl.Radau(layers=4, degree=4, controls=ocdl.PerStage())


def decay(**changed):
    """ẋ = −x(t − 1), x = 1 before 0: a polynomial on every unit of t."""
    stated = {
        "states": ["x"],
        "controls": 0,
        "dynamics": lambda x_lag: -x_lag,
        "initial": [1.0],
        "horizon": 2.5,
        "state_lag": 1.0,
        "history": 1.0,
        "terminal": lambda x: x[0],
    }
    return ocdl.DelayProblem(**{**stated, **changed})


def exact(t):
    """Σ_j (−1)^j (t − j + 1)^j / j! over the units of t begun."""
    return 1 - t + np.maximum(t - 1, 0) ** 2 / 2 - np.maximum(t - 2, 0) ** 3 / 6


def test_the_method_of_steps_is_exact_where_the_solution_is_a_polynomial():
    delayed = decay()
    assert (delayed.pieces, delayed.step) == (5, 0.5)
    found = ocdl.solve(delayed.stacked(), ocdl.Radau(layers=2, degree=4), ocdl.Ipopt())
    assert found.cost == pytest.approx(exact(2.5), abs=1e-12)
    state = ocdl.unstacked(delayed, found).state
    assert state.dims == ("t", "state") and list(state["state"].values) == ["x"]
    assert state["t"].values == pytest.approx(np.linspace(0, 2.5, 11))
    assert state.values[:, 0] == pytest.approx(exact(state["t"].values), abs=1e-12)


def test_a_history_may_be_a_function_of_t():
    """ẋ = x(t − ½), x = cos t before 0: x(½) = 1 + sin 0 − sin(−½)."""
    delayed = decay(
        dynamics=lambda x_lag: x_lag, horizon=0.5, state_lag=0.5, history=lambda t: [np.cos(t)], initial=[1.0]
    )
    found = ocdl.solve(delayed.stacked(), GRID, ocdl.Ipopt())
    assert found.cost == pytest.approx(1 + np.sin(0.5), abs=1e-9)


def steered(**changed):
    """x'' = u(t − ½) from rest to a place and rest; the state is bounded and so is the control."""
    stated = {
        "states": ["x", "v"],
        "controls": ["force"],
        "dynamics": lambda x, u_lag: [x[1], u_lag[0]],
        "initial": [0.0, 0.0],
        "final": [1.0, 0.0],
        "horizon": 1.5,
        "control_lag": 0.5,
        "control_history": 0.0,
        "running": lambda u: u[0] ** 2,
    }
    return ocdl.DelayProblem(**{**stated, **changed})


def test_a_control_that_acts_late_is_the_control_of_a_shorter_horizon():
    """Rest to rest over one unit costs 12; what acts after T is zero."""
    delayed = steered()
    found = ocdl.solve(delayed.stacked(), GRID, ocdl.Ipopt())
    assert found.cost == pytest.approx(12.0, abs=1e-8)
    whole = ocdl.unstacked(delayed, found)
    assert whole.state.sel(t=0.5).values == pytest.approx([0.0, 0.0], abs=1e-9)
    assert whole.state.isel(t=-1).values == pytest.approx([1.0, 0.0], abs=1e-9)
    assert whole.controls.isel(t=0, stage=0).values == pytest.approx(6.0, abs=1.0)
    assert np.abs(whole.controls.sel(t=slice(1.0, None)).values).max() < 1e-7
    by_rows = steered(final=None, boundary=lambda xT: [xT[0] - 1, xT[1]], bounds=ocdl.Box(boundary=(0, [0, 0])))
    assert ocdl.solve(by_rows.stacked(), GRID, ocdl.Ipopt()).cost == pytest.approx(12.0, abs=1e-8)


def test_bounds_and_path_hold_in_every_piece():
    grid = ocdl.Radau(layers=4, degree=3)
    by_box = steered(bounds=ocdl.Box(u=(-6, 6), x=([-1, -1], [2, 1.4])))
    by_path = steered(path=lambda x, u: [u[0], x[1]], bounds=ocdl.Box(path=([-6, -1], [6, 1.4])))
    costs = [ocdl.solve(delayed.stacked(), grid, ocdl.Ipopt()).cost for delayed in (by_box, by_path)]
    assert costs[0] == pytest.approx(costs[1], abs=1e-6) and costs[0] > 12.1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: decay(state_lag=np.sqrt(2.0)), "no step of at least"),
        (lambda: decay(horizon=ocdl.Free(1, 2)), "fixed lag"),
        (lambda: decay(state_lag=-1.0), "positive number"),
        (lambda: decay(history=None), "needs history"),
        (lambda: decay(state_lag=None), "needs state_lag"),
        (lambda: decay(dynamics=lambda x, y: x), "taken by name"),
        (lambda: decay(history=[1.0, 2.0]), "1 number"),
        (lambda: decay(history=lambda t: [t, t]), "1 expression"),
        (lambda: decay(initial=[[1.0]]), "shape"),
        (lambda: decay(dynamics=lambda x_lag: [x_lag, x_lag]).stacked(), "1 state"),
        (lambda: decay(bounds=ocdl.Box(x=(lambda t: -t, 1))), "depend on depth"),
        (lambda: ocdl.unstacked(decay(), None), "DelayProblem"),
    ],
)
def test_delays_that_the_mesh_does_not_permit_and_statements_that_are_none_are_refused(wrong, said):
    with pytest.raises((ocdl.InvalidInput, ocdl.NotSupported), match=said):
        wrong()


def test_methods_without_constraints_refuse_the_links():
    with pytest.raises(ocdl.NotSupported, match="boundary"):
        ocdl.solve(steered(final=None).stacked(), GRID, ocdl.ProjectedGradient())


def test_a_lag_longer_than_the_horizon_needs_no_links():
    """ẋ = −1 throughout: any method solves it."""
    delayed = decay(horizon=0.5, state_lag=np.sqrt(2.0))
    assert delayed.pieces == 1 and not delayed.stacked().constraints
    found = ocdl.solve(delayed.stacked(), ocdl.Radau(layers=2), ocdl.ProjectedGradient())
    assert found.cost == pytest.approx(0.5, abs=1e-12)
