"""Kinds of steady states of two neurons by random kernels; manifolds are the states that come, or came, from there."""

import numpy as np
import pytest
from theory_kernels import flow, plain

import ocdl
from ocdl.analysis import KernelOperator, phase_portrait

SADDLE = KernelOperator.of(2.0 * np.array([[1.0, 0.5], [0.2, -0.6]]), ocdl.Midpoint(2))


@pytest.mark.parametrize("seed", range(20))
def test_kinds_are_those_of_trace_and_determinant(seed):
    matrix = np.random.default_rng(seed).standard_normal((2, 2))
    trace, det = np.trace(matrix), np.linalg.det(matrix)
    kind = "focus" if trace**2 < 4.0 * det else "node"
    expected = "saddle" if det < 0.0 else f"{'stable' if trace > 0.0 else 'unstable'} {kind}"
    found = phase_portrait(flow(plain(matrix), 0.3))
    assert found.kind == expected
    assert (len(found.stable), len(found.unstable)) == {
        "saddle": (2, 2), "stable node": (2, 0), "unstable node": (0, 2)
    }.get(found.kind, (0, 0))  # fmt: skip
    assert np.abs(matrix @ found.rest - 0.3).max() < 1e-12


@pytest.mark.parametrize(
    ("matrix", "bias", "kind"),
    [
        ([[0.0, 2.0], [-1.0, 0.0]], 0.0, "centre"),
        ([[1.0, 1.0], [0.0, 1.0]], 0.0, "stable node"),
        ([[0.0, 1.0], [0.0, 0.0]], 0.0, "line of steady states, unstable"),
        ([[-1.0, 0.0], [0.0, 0.0]], 0.0, "line of steady states, unstable"),
        ([[0.0, 0.0], [0.0, 0.0]], 0.0, "plane of steady states, stable"),
        ([[1.0, 0.0], [0.0, 0.0]], 1.0, "no steady state"),
    ],
)
def test_kinds_of_planted_kernels(matrix, bias, kind):
    found = phase_portrait(flow(plain(matrix), bias))
    assert found.kind == kind and (found.rest is None) == (kind == "no steady state")
    assert (found.line is not None) == kind.startswith("line")


def test_manifolds_of_a_saddle_come_from_it_and_go_to_it():
    given = flow(SADDLE, 0.2, 12.0)
    found = phase_portrait(given)
    for curve in found.stable:
        start = curve[np.searchsorted(np.linalg.norm(curve - found.rest, axis=1), 0.8)]
        passed = given.evolve(start, tolerance=1e-13).x[:, 0] - found.rest
        assert np.linalg.norm(passed, axis=1).min() < 1e-4
    forwards, back = given.layer(0), found.unstable
    for curve in (*found.stable, *back):
        step, field = np.diff(curve[5:60], axis=0), forwards(0.5 * (curve[5:59] + curve[6:60]))
        field = field if any(curve is one for one in back) else -field
        cosine = np.sum(step * field, axis=1) / np.linalg.norm(step, axis=1) / np.linalg.norm(field, axis=1)
        assert cosine.min() > 1.0 - 1e-5
    assert all(np.any(np.abs(curve[-1] - found.rest) > 2.0) for curve in (*found.stable, *back))


def test_lines_end_at_the_box_and_are_steady():
    found = phase_portrait(flow(plain([[1.0, 0.5], [1.0, 0.5]]), 0.5), limits=[(-1.0, 1.0), (-3.0, 2.0)])
    assert np.abs(found.line @ [1.0, 0.5] - 0.5).max() < 1e-12
    assert np.all(np.min(np.abs(found.line[:, :, None] - found.limits), axis=(1, 2)) < 1e-12)
    assert phase_portrait(flow(plain([[1.0, 0.0], [0.0, 0.0]])), limits=[(1.0, 2.0), (0.0, 1.0)]).line is None


def test_without_a_linearisation_there_are_no_manifolds():
    found = phase_portrait(flow(plain(np.diag([1.0, -1.0])), 0.0, activation=ocdl.LeakyReLU()))
    assert found.kind == "not linearised" and found.stable == found.unstable == ()
    assert found.rest is not None
    relu = phase_portrait(flow(plain([[1.0, 0.0], [0.0, 0.0]]), -1.0, activation=ocdl.ReLU()))
    assert relu.rest is None and relu.kind == "not linearised"  # f = 0 rests, although Bf = a has no solution


@pytest.mark.parametrize(
    ("size", "limits", "said"), [(3, None, "has 3"), (2, [(1, 0), (0, 1)], "low < high"), (2, [0, 1], "two pairs")]
)
def test_wrong_portraits_are_told_off(size, limits, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        phase_portrait(flow(plain(np.eye(size))), limits=limits)
