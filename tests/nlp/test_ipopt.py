"""IPOPT as a method: exact answers, and what it says when it stops early."""

import signal

import numpy as np
import pytest
from interrupts import PressesCtrlC

import ocdl

LOW, HIGH = -0.3323975739639906, 1.4563111674757971  # reachable interval of one neuron, tanh, box ±1, f_I = 0.5, T = 1


def one_neuron(target):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=0.5, target=target, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))
    )


def falling_time():
    """Depth at which f' = −tanh(1 + f), f(0) = 0.5, reaches 0: ∫_0^½ df / tanh(1 + f) = ln sinh 1.5 − ln sinh 1."""
    return float(np.log(np.sinh(1.5) / np.sinh(1.0)))


@pytest.mark.parametrize("target", [-1.0, 0.0, 1.2, 3.0])
def test_one_neuron_reaches_the_exact_cost(target):
    """With a node at the switch of b the piecewise-constant controls contain the exact answer."""
    switch = falling_time()
    widths = [switch / 25] * 25 + [(1.0 - switch) / 25] * 25
    depth = ocdl.Radau(layers=widths if target < LOW else 50, degree=3)
    solution = ocdl.solve(one_neuron(target), ocdl.Grid(ocdl.Midpoint(1), depth), ocdl.Ipopt())
    exact = 0.5 * max(LOW - target, target - HIGH, 0.0) ** 2
    assert abs(solution.cost - exact) < 1e-8
    assert solution.tree.attrs["violation of controls"] == 0.0 and solution.feasibility < 1e-9


def test_a_reached_target_is_named():
    solution = ocdl.solve(one_neuron(1.0), ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(50)), ocdl.Ipopt())
    assert solution.status is ocdl.Status.REACHABLE


def test_iteration_limit_raises_and_keeps_the_last_iterate():
    grid = ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(50))
    with pytest.raises(ocdl.SolveFailed, match="Raise max_iterations") as caught:
        ocdl.solve(one_neuron(3.0), grid, ocdl.Ipopt(max_iterations=3))
    last = caught.value.solution
    assert last.status is ocdl.Status.ITERATION_LIMIT
    assert 1.19 < last.cost < 3.2
    with pytest.warns(UserWarning, match="iteration limit"):
        warned = ocdl.solve(one_neuron(3.0), grid, ocdl.Ipopt(max_iterations=3), on_failure="warn")
    assert warned.cost == last.cost
    assert ocdl.solve(one_neuron(3.0), grid, ocdl.Ipopt(), start=last).cost < last.cost


def test_nan_is_named_and_the_last_iterate_is_kept():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: np.sqrt(x[0] - 0.5) * 0 + u,
        initial=[1.0],
        horizon=1.0,
        terminal=lambda x: np.log(x[0] + 1.0),
        bounds=ocdl.Box(u=(-3, 3)),
    )
    with pytest.raises((ocdl.SolveFailed, ocdl.OcdlError)) as caught:
        ocdl.solve(problem, ocdl.Kutta4(5), ocdl.Ipopt())
    assert "Ipopt" in str(caught.value) or "state" in str(caught.value)


def test_unknown_options_are_refused_in_ipopts_words():
    with pytest.raises(ocdl.InvalidInput, match="no_such_option"):
        ocdl.solve(
            one_neuron(3.0), ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(5)), ocdl.Ipopt(options={"no_such_option": 1})
        )


def test_ctrl_c_returns_the_current_iterate(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.ipopt.progress_bar", PressesCtrlC)
    before = signal.getsignal(signal.SIGINT)
    solution = ocdl.solve(one_neuron(3.0), ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(50)), ocdl.Ipopt())
    assert solution.status is ocdl.Status.INTERRUPTED
    assert len(solution.history["cost"]) == 3
    assert 1.19 < solution.cost < 3.2
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("arguments", [{"tolerance": 0.0}, {"max_iterations": -1}, {"options": 3}])
def test_bad_options_name_themselves(arguments):
    with pytest.raises(ocdl.InvalidInput, match=next(iter(arguments))):
        ocdl.Ipopt(**arguments)


def test_more_equations_than_variables_are_counted_and_no_iteration_is():
    """Seven boundary rows for two ends: IPOPT does not begin, and its count of iterations is uninitialised memory."""
    rows = [[1, 0], [0, 1], [1, 1], [1, -1], [2, 1], [1, 2], [1, 3]]
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 0],
        horizon=1.0,
        running=lambda u: u**2,
        boundary=lambda xT: [a * (xT[0] - 1) + b * xT[1] for a, b in rows],
    )
    with pytest.raises(ocdl.SolveFailed) as caught:
        ocdl.solve(problem, ocdl.Radau(1, 3), ocdl.Ipopt())
    said = str(caught.value)
    assert "IPOPT: not enough degrees of freedom. 13 equations in 7 variables that are free." in said, said
    assert "Redundant: " in said and "iterations" not in said and "coarser" not in said
    assert caught.value.solution.status is ocdl.Status.OVERDETERMINED
