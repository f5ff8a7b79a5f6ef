"""Judged group by group, many samples have the certificate that they have together."""

from dataclasses import replace

import numpy as np
import pytest

import ocdl
from ocdl.referee import in_groups
from ocdl.referee.certify import certify
from ocdl.sweeps.sweeper import SweepFailed

DEPTH = ocdl.ImprovedEuler(4)
SAMPLES = 11


@pytest.fixture(autouse=True)
def short_groups(monkeypatch):
    for name, value in (("MANY", 50), ("GROUP", 3 * 4 * 2 * 2), ("KEPT", 2)):  # three samples to a group
        monkeypatch.setattr(in_groups, name, value)


def problem(**changed):
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1.0, 1.0, (SAMPLES, 2))
    labels = (inputs[:, 0] > 0.0).astype(float)
    weights = rng.uniform(1.0, 2.0, SAMPLES)
    stated = ocdl.network(ocdl.Residual(), inputs, labels, weights=weights, regulariser=ocdl.Tikhonov(1e-3))
    return replace(stated, **changed)


def point(stated, size=0.5):
    rng = np.random.default_rng(1)
    return size * rng.standard_normal((4, stated.m)), size * rng.standard_normal(stated.P)


@pytest.mark.parametrize("running", [None, lambda x, u: x[0] ** 2 + u[0] * x[1]])
def test_sums_are_those_of_all_samples_and_trajectories_those_of_the_first(running):
    stated = problem(running=running)
    u, p = point(stated)
    whole = certify(stated, DEPTH, u, p, first_order=True)
    few, found = in_groups.certified_in_groups(stated, DEPTH, u, p)
    assert few.samples == 2 and found.feasibility == whole.feasibility
    for name in ("cost", "hamiltonian"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-13)
    for name in ("gradient_u", "gradient_p"):
        np.testing.assert_allclose(getattr(found.adjoint, name), getattr(whole.adjoint, name), rtol=0, atol=1e-14)
    for name in ("norm", "gain"):
        assert getattr(found.stationarity, name) == pytest.approx(getattr(whole.stationarity, name), rel=1e-12)
    np.testing.assert_allclose(found.trajectory.x, whole.trajectory.x[:, :2], rtol=1e-14)
    np.testing.assert_allclose(found.adjoint.costate, whole.adjoint.costate[:, :2], rtol=1e-12)
    np.testing.assert_allclose(found.adjoint.stages, whole.adjoint.stages[:, :, :2], rtol=1e-12)


def test_a_violation_in_any_group_is_one_of_all():
    stated = problem(bounds=ocdl.Box(u=(-0.1, 0.1)))
    u, p = point(stated)
    assert in_groups.certified_in_groups(stated, DEPTH, u, p)[1].violations == pytest.approx(
        certify(stated, DEPTH, u, p, first_order=True).violations
    )


def test_a_solve_of_many_samples_keeps_the_first_and_says_so(monkeypatch):
    def solved():
        method = ocdl.LBFGS(max_iterations=5)
        return ocdl.solve(problem(), DEPTH, method, seed=0, certificate="first order", on_failure="return")

    groups = solved()
    again = ocdl.solve(
        problem(), DEPTH, ocdl.LBFGS(max_iterations=5), start=groups, certificate="first order", on_failure="return"
    )
    assert again.cost < groups.cost
    monkeypatch.setattr(in_groups, "MANY", 10**6)
    whole = solved()
    assert groups.state.sizes["sample"] == 2 and any("All 11 samples" in note for note in groups.notes)
    assert whole.state.sizes["sample"] == SAMPLES and not whole.notes
    np.testing.assert_array_equal(groups["K"], whole["K"])
    assert groups.cost == pytest.approx(whole.cost, rel=1e-13)
    assert groups.stationarity == pytest.approx(whole.stationarity, rel=1e-10)


def test_where_a_sweep_is_lost_its_group_is_named():
    inputs = np.zeros((SAMPLES, 2))
    inputs[7] = 1.0
    stated = ocdl.network(ocdl.Residual(activation=ocdl.ReLU()), inputs, inputs, readout=None)
    u = np.repeat([[1e200] * 4 + [0.0] * 2], 4, axis=0)  # K and beta
    with pytest.raises(SweepFailed, match=r"of samples 6 to 8, counted from 6: .* sample 1;"):
        in_groups.certified_in_groups(stated, DEPTH, u, np.zeros(0))


def test_what_looks_at_single_samples_is_judged_whole():
    assert in_groups.many(problem(), DEPTH)
    for stated in (problem(bounds=ocdl.Box(x=(-5, 5))), problem().on_samples(np.arange(2))):
        assert not in_groups.many(stated, DEPTH)


def test_the_maximum_principle_of_more_than_memory_holds_is_refused_and_first_order_is_not(monkeypatch):
    from ocdl.solving import compile as compiling

    def full(said, what, entries, bytes_each=8.0):
        if entries > 200:
            raise ocdl.InvalidInput(f"{said}: {what} need too much.")

    monkeypatch.setattr(compiling, "fits_memory", full)
    how = {"seed": 0, "on_failure": "return"}
    with pytest.raises(ocdl.InvalidInput, match="which certificate='first order' goes without"):
        ocdl.solve(problem(), DEPTH, ocdl.Train(), **how)
    with pytest.raises(ocdl.InvalidInput, match="states, costates, controls and gradients need"):
        ocdl.solve(problem(), DEPTH, ocdl.LBFGSB(), certificate="first order", **how)
    ocdl.solve(problem(), DEPTH, ocdl.LBFGS(max_iterations=1), certificate="first order", **how)
