"""Ctrl-C: it waits while CasADi runs, is nothing but KeyboardInterrupt, and no method loses its iterate to it."""

import os
import signal
import sys
import threading
from dataclasses import dataclass

import casadi as ca
import numpy as np
import pytest
from families import scalar, selection

import ocdl
from ocdl import interrupts
from ocdl.interrupts import interruptible, uninterrupted
from ocdl.nlp.ipopt import _Watch
from ocdl.referee.judgement import judged
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method
from ocdl.solving.refine import continuation
from ocdl.solving.sequence import sequence


def press():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def handler(monkeypatch):
    """Ctrl-C as a terminal's, also where the tests run in the background; left as it was found."""
    monkeypatch.setattr(interrupts, "TWICE", 0.0)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    left = signal.signal(signal.SIGINT, before)
    assert left is signal.default_int_handler


def test_it_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted() as ctrl_c:
        assert not ctrl_c.pressed
        press()
        assert ctrl_c.pressed
        done.append(True)
    assert done == [True]


def test_a_second_one_breaks_in():
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        press()
        press()
        pytest.fail("it went on")


def test_pressed_twice_at_once_it_is_one(monkeypatch):
    monkeypatch.setattr(interrupts, "TWICE", 60.0)
    with uninterrupted() as ctrl_c:
        press()
        press()
        assert ctrl_c.taken()


def test_a_block_inside_another_leaves_it_to_the_other():
    with uninterrupted() as outer:
        with uninterrupted():
            press()
        assert outer.taken() and not outer.pressed


@pytest.mark.parametrize("error", [RuntimeError("KeyboardInterrupt"), SystemError(), NotImplementedError()])
def test_what_casadi_makes_of_it_is_a_keyboard_interrupt(error):
    def swallowed():
        try:
            press()
        except KeyboardInterrupt:
            raise error from None

    with pytest.raises(KeyboardInterrupt), interruptible():
        swallowed()


def test_an_error_without_ctrl_c_stays_what_it_is():
    for block in (interruptible, uninterrupted):
        with pytest.raises(ZeroDivisionError), block():
            _ = 1 / 0


def test_a_handler_of_the_users_own_is_called_afterwards():
    heard_by_user = []
    signal.signal(signal.SIGINT, lambda *_: heard_by_user.append(True))
    with uninterrupted():
        press()
        assert not heard_by_user
    assert heard_by_user == [True]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_nothing_happens_in_other_threads_and_where_it_is_ignored():
    def body():
        with uninterrupted() as ctrl_c:
            found.append((ctrl_c.pressed, signal.getsignal(signal.SIGINT)))

    found = []
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    body()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert found == [(False, signal.default_int_handler), (False, signal.SIG_IGN)]


def test_while_a_users_function_is_read_it_is_not_blamed():
    def dynamics(x, u):
        press()
        return [ca.sin(x[0]) + u[0]]

    with pytest.raises(KeyboardInterrupt):
        ocdl.ControlProblem(
            dynamics=dynamics, initial=[0.0], horizon=1.0, terminal=lambda x: x[0], bounds=ocdl.Box(u=(-1, 1))
        )


# -- methods: Ctrl-C at random times ------------------------------------------------------------------------


GRIDS = [ocdl.Grid(width=ocdl.Midpoint(count), depth=ocdl.ExplicitEuler(layers=4)) for count in (2, 3, 4)]
METHODS = [ocdl.Ipopt(), ocdl.InteriorPoint(), ocdl.LBFGSB(), ocdl.ProjectedNewton(), ocdl.ValueIteration(nodes=15)]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_iterate_comes_back_whenever_ctrl_c_is_pressed(method, monkeypatch):
    def solve_and_press(self, *args, **kwargs):
        timer.start()
        return solve(self, *args, **kwargs)

    solve = type(method).solve
    monkeypatch.setattr(type(method), "solve", solve_and_press)
    problem, grid = selection(), ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(layers=12, degree=2))
    for seconds in np.random.default_rng(0).uniform(0.0, 0.15, 3):
        timer, solution = threading.Timer(seconds, press), None
        try:
            solution = ocdl.solve(problem, grid, method, on_failure="return")
            timer.join()
        except KeyboardInterrupt:  # when all was done
            assert solution is not None
        assert solution.status is Status.INTERRUPTED or not solution.status.failed, solution
        assert np.isfinite(solution.cost) and np.all(np.isfinite(solution.a))


@dataclass(frozen=True)
class Halved(Method):
    """A user's method: half of the start's controls, and where asked for Ctrl-C on the way."""

    interrupted: bool = False

    def solve(self, problem, depth, start, *, progress=None):
        if self.interrupted:
            press()
        return Outcome(start.u + 0.5, start.p, Status.CONVERGED, "Its own words.")


def test_pressed_before_there_is_an_iterate_the_start_comes_back():
    solution = ocdl.solve(scalar(), ocdl.ExplicitEuler(4), Halved(interrupted=True), start={"u": 0.25})
    assert solution.status is Status.INTERRUPTED and np.all(solution.u.values == 0.25)


def test_pressed_while_the_referee_judges_the_answer_is_judged_and_kept(monkeypatch):
    whole = ocdl.solve(scalar(), ocdl.ExplicitEuler(4), Halved())

    def pressed(*args, **kwargs):
        press()
        return judged(*args, **kwargs)

    monkeypatch.setattr(sys.modules["ocdl.solving.attempt"], "judged", pressed)
    solution = ocdl.solve(scalar(), ocdl.ExplicitEuler(4), Halved())
    assert solution.status is Status.INTERRUPTED and solution.cost == whole.cost
    assert "The method itself had ended: Converged. Its own words." in repr(solution)


def test_a_second_one_breaks_ipopt_off_and_keeps_its_iterate(monkeypatch):
    read = _Watch.eval_buffer

    def pressed(self, arguments, results):
        failed = read(self, arguments, results)
        if self.seen == 3:
            press()
            press()
        return failed

    monkeypatch.setattr(_Watch, "eval_buffer", pressed)
    solution = ocdl.solve(scalar(), ocdl.Radau(4), ocdl.Ipopt(space="full"))
    assert solution.status is Status.INTERRUPTED and "broken off after 3 iterations" in solution.detail
    assert np.isfinite(solution.cost)


def test_pressed_before_the_second_of_two_solves_it_is_the_one_interrupted():
    calls = []

    def pressing(y):
        calls.append(y)
        if len(calls) == 2:
            press()
        return 0.5 * y

    found = continuation(lambda end: selection(initial=pressing, horizon=end), [1, 2, 3], GRIDS[0], Halved())
    assert [solution.status for solution in found] == [Status.CONVERGED, Status.INTERRUPTED]
    calls.clear()
    last = sequence(selection(initial=pressing), GRIDS, Halved())
    assert last.status is Status.INTERRUPTED and last.a.sizes["y"] == 3
