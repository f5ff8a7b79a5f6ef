"""Equalities of path: imposed where the controls can hold them, refused where they cannot, told between the points."""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from families import name_of, schemes

import ocdl
from ocdl.depth.fine_mesh import control_at
from ocdl.referee.equalities import imposed

SHAPES = [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()]
SHAPED = [
    replace(scheme, controls=shape)
    for scheme in [*schemes(layers=(0.3, 0.6, 0.4), degrees=(1, 2, 3)), ocdl.MultipleShooting((0.3, 0.6, 0.4))]
    for shape in SHAPES
    if shape.suits(scheme.tableau.c)
]
MET = [
    replace(scheme, controls=shape)
    for scheme in (ocdl.Radau(10, 3), ocdl.Gauss(10, 3), ocdl.Kutta4(10), ocdl.MultipleShooting(10, 2))
    for shape in SHAPES
    if shape.suits(scheme.tableau.c)
]


def shaped_name(scheme: ocdl.DepthScheme) -> str:
    return name_of(scheme) + type(scheme.controls).__name__


def heading(**changes) -> ocdl.ControlProblem:
    """ẋ = u, |u|² = 1, T = 2, ½ |x(T) − (3, 4)|²: straight ahead, J = ½ (5 − 2)²."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda u: u,
            "initial": [0, 0],
            "controls": 2,
            "horizon": 2.0,
            "terminal": lambda x: ((x[0] - 3) ** 2 + (x[1] - 4) ** 2) / 2,
            "path": lambda u: ca.sumsqr(u) - 1,
            "bounds": ocdl.Box(path=(0, 0)),
        }
        | changes
    )


def turning(speed: float = 3.0, **changes) -> ocdl.ControlProblem:
    """|u|² = 1 and L = −⟨u, (cos ωt, sin ωt)⟩: u turns with the speed ω, J = −T."""

    def running(t, u):
        return -ca.cos(speed * t) * u[0] - ca.sin(speed * t) * u[1]

    return heading(**{"terminal": None, "running": running} | changes)


def rod(**changes) -> ocdl.ControlProblem:
    """A pendulum whose second control is the force in its rod, v² + cos θ, which damps it."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: [x[1], -ca.sin(x[0]) + u[0] - 0.05 * u[1] * x[1]],
            "initial": [0.5, 0],
            "controls": ["torque", "force"],
            "horizon": 2.0,
            "running": lambda x, u: x[0] ** 2 + u[0] ** 2 + 0.01 * u[1] ** 2,
            "path": lambda x, u: u[1] - x[1] ** 2 - ca.cos(x[0]),
            "bounds": ocdl.Box(path=(0, 0)),
        }
        | changes
    )


def solved(problem: ocdl.ControlProblem, depth: ocdl.DepthScheme) -> ocdl.Solution:
    return ocdl.solve(problem, depth, ocdl.Ipopt(), start={"u": [0.6, 0.3]} if problem.m == 2 else None)


@pytest.mark.parametrize("scheme", SHAPED, ids=shaped_name)
def test_the_equations_of_the_stages_determine_the_coefficients(scheme):
    """One value at every stage that is chosen is met by one set of coefficients, or by several, never by none."""
    nodes, N = scheme.tableau.c, scheme.count
    chosen = scheme.controls.determined(N, nodes)
    basis = scheme.controls.basis(N, nodes).matrix().full()[chosen.ravel()]
    assert np.linalg.matrix_rank(basis) == chosen.sum()
    assert chosen.any(axis=1).all()
    spare = np.count_nonzero(np.any(scheme.controls.basis(N, nodes).matrix().full(), axis=0)) - chosen.sum()
    assert spare == (1 if isinstance(scheme.controls, ocdl.PiecewiseLinear) and 0 < nodes[0] == nodes[-1] < 1 else 0)


@pytest.mark.parametrize("scheme", MET, ids=shaped_name)
def test_a_control_of_length_one_is_found_in_every_shape(scheme):
    solution = solved(heading(), scheme)
    assert solution.status is ocdl.Status.CONVERGED and solution.feasibility < 1e-9
    assert solution.cost == pytest.approx(4.5, abs=1e-8)
    released = ~imposed(heading(), scheme)
    assert not np.any(solution.multipliers["path_multiplier"].values[released])
    assert np.all(solution.multipliers["path_multiplier"].values[~released])


@pytest.mark.parametrize("scheme", MET, ids=shaped_name)
def test_what_an_equality_does_between_its_points_is_said(scheme):
    solution = solved(turning(), scheme)
    h, shape = 0.2, scheme.controls
    assert solution.feasibility < 1e-9
    assert not solution.status.failed
    if shape == ocdl.PiecewiseLinear():  # the middle of a chord
        assert solution.status is ocdl.Status.BETWEEN
        found = float(solution.detail.split("path row 0 at t = ")[1].split(": ")[1].split()[0])
        assert found == pytest.approx(solution.certificate.constraint_violation, rel=0.05)
        assert found == pytest.approx(1 - np.cos(3 * h / 2) ** 2, rel=0.35)
        assert solution.status.value in repr(solution) and "path row 0" in repr(solution)
    else:
        assert solution.status is ocdl.Status.CONVERGED
    assert solution.cost == pytest.approx(-2.0, rel={ocdl.PerStage(): 1e-5}.get(shape, 3e-2))


def test_a_comparison_and_a_refinement_say_what_is_between():
    depth = ocdl.Radau(10, 3, controls=ocdl.PiecewiseLinear())
    said = str(ocdl.compare(turning(), depth, [ocdl.Ipopt()], start={"u": [0.6, 0.3]}))
    assert "between them they are violated" in " ".join(said.split())
    assert "• Ipopt keeps the constraints only at the points where they are imposed" in said
    with pytest.warns(UserWarning, match="between them they are violated.*path row 0 at t = "):
        refined = ocdl.refine(turning(), depth, ocdl.Ipopt(), start={"u": [0.6, 0.3]}, most_rounds=1)
    assert "path row 0 at t = " in refined.message


@pytest.mark.parametrize(
    ("shape", "order", "layers"),
    [(ocdl.PiecewiseConstant(), 2, 10), (ocdl.PiecewiseLinear(), 2, 10), (ocdl.PerStage(), 6, 2)],
    ids=str,
)
def test_a_mixed_equality_converges_in_the_order_of_its_shape(shape, order, layers):
    """ẋ = −u, u = x²: x(T) = 1/(1 + T), and nothing is free."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: -u,
        initial=[1.0],
        horizon=2.0,
        terminal=lambda x: x[0],
        path=lambda x, u: u - x[0] ** 2,
        bounds=ocdl.Box(path=(0, 0)),
    )
    errors = [abs(solved(problem, ocdl.Gauss(N, 3, controls=shape)).cost - 1 / 3) for N in (layers, 2 * layers)]
    assert errors[0] / errors[1] > 0.8 * 2**order


def test_an_equality_with_states_in_it_agrees_in_every_shape():
    fine = {scheme: solved(rod(), scheme.with_layers(20)) for scheme in MET}
    reference = fine[ocdl.Gauss(10, 3, controls=ocdl.PerStage())].cost
    for scheme, finer in fine.items():  # between the points u is not what the equality asks for
        solution = solved(rod(), scheme)
        assert solution.feasibility < 1e-9
        assert solution.cost == pytest.approx(reference, abs=6e-4)
        assert -1e-9 < finer.gap < max(solution.gap / 2, 1e-12) and solution.gap < 1e-3
        if scheme.controls == ocdl.PiecewiseLinear():
            assert finer.gap < solution.gap / 3 < 2e-5


def test_samples_share_an_equality_of_controls_alone():
    solution = solved(heading(initial=[[0, 0], [0, 0], [0, 0]]), ocdl.Radau(5, 3))
    assert solution.status is ocdl.Status.CONVERGED and solution.cost == pytest.approx(4.5, abs=1e-8)
    assert not np.any(solution.multipliers["path_multiplier"].isel(sample=[1, 2]))


def test_an_equality_that_holds_from_a_depth_on_is_released_there_only():
    problem = heading(bounds=ocdl.Box(path=(lambda t: 0.0 if t > 1 else -1.0, 0)))
    where = imposed(problem, ocdl.Radau(4, 3))[:, :, 0, 0]
    assert where[:2].all() and (where[2:].sum(axis=1) == 1).all()
    assert solved(problem, ocdl.Radau(4, 3)).cost == pytest.approx(4.5, abs=1e-7)


REFUSED = [
    ({"path": lambda u: [u[0] - 1, u[1], u[0] + u[1]]}, ["path rows 0, 1 and 2", "3 equations", "2: u0 and u1"]),
    ({"path": lambda u: [ca.sumsqr(u) - 1, 2 * ca.sumsqr(u) - 2]}, ["path rows 0 and 1", "redundant", "contradicts"]),
    ({"path": lambda x, u: [u[0] - x[0], u[0] - x[1]]}, ["path rows 0 and 1", "states alone", "derivative"]),
    ({"path": lambda x: x[0] - x[1]}, ["path row 0", "without a control", "first derivative"]),
    ({"path": lambda x, u: u[0] + u[1] - x[0], "initial": [[0, 0], [1, 1], [2, 2]]}, ["path row 0", "3 samples"]),
    ({"bounds": ocdl.Box(u=([0.6, -1], [0.6, -1]), path=(0, 0))}, ["path row 0", "free are 0: none"]),
    (
        {"dynamics": lambda x, u: [x[0] + 1, u[0] + u[1]], "path": lambda x: x[0]},
        ["path row 0", "None of its first 2 derivatives", "Leave it out"],
    ),
    (
        {"dynamics": lambda x, u: [x[1], u[0] + u[1]], "path": lambda t, x: x[0] - ca.sin(t)},
        ["path row 0", "second derivative", "derivatives before"],
    ),
]


@pytest.mark.parametrize(("changes", "said"), REFUSED)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_equalities_that_the_controls_cannot_hold_are_refused(changes, said, shape):
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.solve(heading(**changes), ocdl.Radau(4, 3, controls=shape), ocdl.Ipopt())
    assert all(part in str(caught.value) for part in said), str(caught.value)


KEPT = [  # by the dynamics, from where the samples start
    ({"dynamics": lambda x, u: [u[0] + u[1], -u[0] - u[1]], "path": lambda x: x[0] + x[1]}, True),
    (
        {"dynamics": lambda x, u: [x[1] * u[0], -x[0] * u[0]], "path": lambda x: ca.sumsqr(x) - 1, "initial": [0, 1]},
        True,
    ),
    ({"dynamics": lambda x, u: [x[0], u[0]], "path": lambda x: x[0]}, True),
    ({"dynamics": lambda x, u: [u[0] + u[1], -u[0] - u[1]], "path": lambda x: x[0] + x[1] - 1}, False),
    ({"dynamics": lambda x, u: [u[0] + u[1], 1e-3 - u[0] - u[1]], "path": lambda x: x[0] + x[1]}, False),
]


@pytest.mark.parametrize(("changes", "kept"), KEPT)
def test_a_row_that_the_dynamics_keep_is_imposed_nowhere(changes, kept):
    depth = ocdl.Radau(4, 3)
    problem = heading(
        terminal=lambda x: 0.5 * ca.sumsqr(x - ca.DM([3, 4])), bounds=ocdl.Box(u=(-1, 1), path=(0, 0)), **changes
    )
    if not kept:
        with pytest.raises(ocdl.InvalidInput, match="path row 0: it is an equality without a control"):
            ocdl.solve(problem, depth, ocdl.Ipopt())
        return
    bare = replace(problem, path=None, bounds=ocdl.Box(u=(-1, 1)))
    assert not imposed(problem, depth).any()
    assert solved(problem, depth).cost == pytest.approx(solved(bare, depth).cost, abs=1e-9)


def test_inequalities_are_imposed_at_every_stage():
    problem = heading(path=lambda u: ca.sumsqr(u) - 1, bounds=ocdl.Box(path=(-np.inf, 0)))
    for shape in SHAPES:
        assert imposed(problem, ocdl.Radau(4, 3, controls=shape)).all()


def test_the_points_hold_what_is_told_of_them():
    """Independently: the polynomial of u between the stages, on a fine grid."""
    depth = ocdl.Gauss(10, 2, controls=ocdl.PerStage())
    solution = solved(turning(6.0), depth)
    u, mesh = np.concatenate(solution.u.values), depth.mesh(2.0)
    layer, t = np.repeat(np.arange(10), 201), np.concatenate([np.linspace(*mesh[k : k + 2], 201) for k in range(10)])
    missed = np.abs(np.sum(control_at(depth, mesh, u, layer, t) ** 2, axis=1) - 1).max()
    assert f": {missed:.2g} " in solution.detail and solution.status is ocdl.Status.BETWEEN
