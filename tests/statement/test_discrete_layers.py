"""Discrete layers: judged as what they are, on explicit Euler steps alone, with nothing between them."""

from dataclasses import replace

import numpy as np
import pytest
from families import name_of, schemes

import ocdl
from ocdl.doors.report import solution_text
from ocdl.statement.discrete import NOTHING_BETWEEN
from ocdl.statement.sharing import sharing

LAYERS = ocdl.ExplicitEuler(4)


def network(discrete=True, **more):
    """x⁺ = tanh(u x): a plain net written with h φ = tanh(u x) − x and h = 1."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: [np.tanh(u[0] * x[0]) - x[0]],
        initial=[[0.5], [-0.3]],
        horizon=4.0,
        terminal=lambda x, d: (x[0] - d[0]) ** 2,
        effort=lambda u: 1e-2 * u[0] ** 2,
        data=[[0.9], [-0.9]],
        bounds=ocdl.Box(u=(-3, 3)),
        discrete=discrete,
        **more,
    )


@pytest.fixture(scope="module")
def trained():
    return ocdl.solve(network(), LAYERS, ocdl.LBFGSB(), seed=1)


def test_nothing_is_integrated_anew(trained):
    other = ocdl.solve(network(discrete=False), LAYERS, ocdl.LBFGSB(), seed=1)
    assert trained.cost == other.cost and trained.status is ocdl.Status.CONVERGED
    assert np.isfinite(other.certificate.cost) and other.certificate.end_error > 1e-2  # the trap of continuous depth
    found = trained.certificate
    assert found.skipped == NOTHING_BETWEEN and not found.super_optimal and not found.restarted
    assert np.isnan([found.cost, found.error, found.excess, found.drift, found.hamiltonian_spread]).all()
    assert found.relative_gap == trained.gap / trained.cost


def test_the_words_say_so(trained, tmp_path):
    text = solution_text(trained)
    assert NOTHING_BETWEEN in text and "constant to" not in text and "continuous depth" not in text
    assert "4 discrete layers" in str(trained.summary())
    comparison = ocdl.compare(network(), LAYERS, [ocdl.LBFGSB()], seed=1)
    assert comparison.depth_error is None and NOTHING_BETWEEN in str(comparison)
    trained.save(tmp_path / "net.nc")
    kept = ocdl.load(tmp_path / "net.nc")
    assert kept.discrete and kept.certificate.skipped == NOTHING_BETWEEN and solution_text(kept) == text


@pytest.mark.parametrize("scheme", schemes(degrees=(1, 2)), ids=name_of)
def test_other_schemes_are_refused_at_every_door(scheme):
    depth = replace(scheme, controls=ocdl.PiecewiseConstant())
    tableau = depth.tableau
    if tableau.stages == 1 and tableau.A[0, 0] == 0.0 and tableau.c[0] == 0.0:
        assert ocdl.compile(network(), depth, ocdl.LBFGSB()).depth == depth
        return
    doors = (
        lambda: ocdl.solve(network(), depth, ocdl.LBFGSB()),
        lambda: ocdl.compile(network(), depth, ocdl.Ipopt()),
        lambda: ocdl.compare(network(), depth, [ocdl.LBFGSB()]),
        lambda: ocdl.sequence(network(), [depth], ocdl.LBFGSB()),
        lambda: ocdl.certify(network(), depth, np.zeros((4, 1)), np.zeros(0)),
    )
    for door in doors:
        with pytest.raises(ocdl.InvalidInput, match="discrete=True"):
            door()


def test_controls_that_vary_in_a_layer_are_refused():
    with pytest.raises(ocdl.InvalidInput, match="PiecewiseConstant"):
        ocdl.solve(network(), ocdl.ExplicitEuler(4, controls=ocdl.PiecewiseLinear()), ocdl.Ipopt())


def test_what_needs_continuous_depth_refuses_in_words(trained):
    single = replace(network(), initial=[[0.5]], data=[[0.9]], weights=None)
    doors = (
        lambda: ocdl.refine(network(), LAYERS, ocdl.LBFGSB()),
        lambda: ocdl.polish(single, LAYERS, trained),
        lambda: ocdl.simulate(network(), trained),
        lambda: ocdl.switching_structure(trained),
        lambda: ocdl.solve(single, LAYERS, ocdl.ValueIteration()),
        lambda: ocdl.solve(single, LAYERS, ocdl.IndirectShooting()),
    )
    for door in doors:
        with pytest.raises(ocdl.NotSupported, match=NOTHING_BETWEEN):
            door()


def test_a_claimed_answer_with_wrong_states_is_refuted():
    class Liar(ocdl.Method):
        def solve(self, problem, depth, start, *, progress=None):
            x = ocdl.certify(problem, depth, start.u, start.p).trajectory.x.copy()
            x[-1] += 1e-3
            return ocdl.Outcome(start.u, start.p, ocdl.Status.CONVERGED, x=x)

    told = ocdl.solve(network(), LAYERS, Liar(), on_failure="return", seed=1)
    assert told.status is ocdl.Status.REFUTED and "state equation" in told.detail


def test_other_layers_are_another_network_which_begins_at_the_first_only_where_it_is_told_to(trained):
    finer = ocdl.ExplicitEuler(8)
    with pytest.raises(ocdl.NotSupported, match="a network of other layers is another one"):
        ocdl.sequence(network(), [LAYERS, finer], ocdl.LBFGSB())
    assert ocdl.sequence(network(), [LAYERS], ocdl.LBFGSB(), seed=1).cost == trained.cost
    found = ocdl.solve(network(), finer, ocdl.LBFGSB(), start=trained)
    assert found.discrete and found.controls["u"].sizes["t"] == 8


def test_what_was_compiled_is_not_shared_with_a_continuous_problem():
    one = network()
    assert sharing(network(), one).built is one.built and sharing(network(discrete=False), one).built is not one.built
