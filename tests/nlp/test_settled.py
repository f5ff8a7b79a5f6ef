"""Controls that a start from another grid has settled: held, unless they object."""

import numpy as np
import pytest

import ocdl
from ocdl.nlp.rank_one import RankOne
from ocdl.nlp.settled import settled
from ocdl.nlp.transcription import Transcription
from ocdl.solving.start import make_start

COARSE, FINE = (ocdl.Grid(ocdl.Midpoint(12), ocdl.Radau(N, 2)) for N in (8, 20))


def above_reach(sign):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: sign * (3 + np.cos(2 * np.pi * y)),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


def held(statement, before):
    problem = statement.discretise(FINE.width)
    pair = RankOne.of(problem)
    start = pair.start(make_start(problem, FINE.depth, before, None))
    return settled(Transcription(pair.problem, FINE.depth), start), start.u


def test_controls_away_from_switches_are_held_and_the_optimum_is_the_same():
    statement = above_reach(1)
    before = ocdl.solve(statement, COARSE, ocdl.Ipopt())
    mask, u = held(statement, before)
    assert mask.mean() > 0.5
    assert np.all(np.abs(np.abs(u[mask]) - 1.0) < 1e-3)
    cold, warm = (ocdl.solve(statement, FINE, ocdl.Ipopt(), start=start) for start in (None, before))
    assert warm.cost == pytest.approx(cold.cost, abs=1e-9)
    assert warm.gap == pytest.approx(cold.gap, abs=1e-8)


def test_a_control_beside_a_switch_is_free():
    statement = above_reach(1)
    before = ocdl.solve(statement, COARSE, ocdl.Ipopt())
    mask, u = held(statement, before)
    switches = np.abs(np.diff(u, axis=0)) > 0.5
    assert np.any(switches)
    assert not np.any(mask[:-1] & switches)
    assert not np.any(mask[1:] & switches)


def test_controls_held_at_the_wrong_bound_object_and_are_released():
    """A start that is right about the mirrored target holds every control where this one does not want it."""
    before = ocdl.solve(above_reach(-1), COARSE, ocdl.Ipopt())
    mask, _ = held(above_reach(1), before)
    assert mask.mean() > 0.5
    cold, warm = (ocdl.solve(above_reach(1), FINE, ocdl.Ipopt(), start=start) for start in (None, before))
    assert warm.cost == pytest.approx(cold.cost, abs=1e-9)
