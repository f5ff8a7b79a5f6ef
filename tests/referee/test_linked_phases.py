"""Linked phases are judged: a wrong multiplier, state, costate or duration is found; files give back what they hold."""

from dataclasses import replace

import netCDF4
import numpy as np
import pytest

import ocdl
from ocdl.referee.phases import judged_phases
from ocdl.solving.phases import make_starts

FREE = ocdl.Free()
DEPTHS = [ocdl.Radau(layers=3, degree=3, controls=ocdl.PiecewiseLinear()), ocdl.Gauss(layers=4, degree=3)]


def mover(**given):
    return ocdl.ControlProblem(
        states=["x", "v"], controls=["u"], dynamics=lambda x, u: [x[1], u], running=lambda u: 1 + u**2 / 2, **given
    )


PHASES = ocdl.Phases(
    {
        "a": mover(initial=[0, 0], horizon=ocdl.Free(0.1, 3), parameters=["k"], penalty=lambda p: p**2 - p),
        "b": mover(initial=[FREE, FREE], final=[1, 0], horizon=ocdl.Free(0.1, 3), parameters=["k"]),
    },
    jumps={"b": lambda x, p: [x[0], p * x[1]]},
    links=lambda a, b: a.horizon - 2 * b.horizon,
    shared=["k"],
)


@pytest.fixture(scope="module")
def outcome():
    return ocdl.Ipopt().solve_phases(PHASES, DEPTHS, make_starts(PHASES, DEPTHS, None, None))


@pytest.fixture(scope="module")
def honest(outcome):
    return judged(outcome)


def judged(outcome):
    return judged_phases(PHASES, DEPTHS, outcome, method="Ipopt", seconds=0.0)


def changed(outcome, k, **arrays):
    """The outcome with other arrays of phase k."""
    outcomes = list(outcome.outcomes)
    outcomes[k] = replace(outcomes[k], **arrays)
    return replace(outcome, outcomes=tuple(outcomes))


def moved(array, place, by):
    array = array.copy()
    array[place] += by
    return array


def test_an_honest_answer_stands(honest):
    assert honest.status is ocdl.Status.CONVERGED
    assert honest.feasibility < 1e-9
    assert honest["a"].gap < 1e-9  # b has controls constant in a layer
    assert honest.attrs["parameter_worth"] < 1e-8
    assert all(abs(one.costate_defect).max() < 1e-9 for one in honest.values())


@pytest.mark.parametrize("link", range(PHASES.linkage.count), ids=PHASES.linkage.names)
def test_a_wrong_multiplier_of_any_linkage_is_found(outcome, honest, link):
    lie = judged(replace(outcome, multipliers=moved(outcome.multipliers, link, 1e-3)))
    assert lie.gap - honest.gap > 1e-4


def test_multipliers_that_are_far_off_make_a_success_none(outcome):
    lie = judged(replace(outcome, multipliers=moved(outcome.multipliers, 0, 1e3)))
    assert lie.status is ocdl.Status.NO_EXTREMAL


@pytest.mark.parametrize(("k", "node", "state"), [(0, 0, 0), (0, 1, 1), (0, -1, 0), (1, 0, 1), (1, 1, 0), (1, -1, 1)])
def test_a_wrong_state_is_found(outcome, k, node, state):
    x = moved(outcome.outcomes[k].x, (node, 0, state), 1e-3)
    lie = judged(changed(outcome, k, x=x))
    assert lie.status is ocdl.Status.REFUTED and lie.feasibility > 1e-4


@pytest.mark.parametrize(("k", "named"), [(0, "t0 of b"), (1, "links row 0")])
def test_a_wrong_duration_breaks_a_linkage_which_is_named(outcome, k, named):
    lie = judged(changed(outcome, k, p=moved(outcome.outcomes[k].p, -1, 1e-3)))
    assert lie.status is ocdl.Status.REFUTED
    assert f"The linkage of {named} is missed by" in lie.detail


@pytest.mark.parametrize("k", [0, 1])
def test_a_wrong_costate_is_found(outcome, honest, k):
    costate = moved(outcome.outcomes[k].costate, (-1, 0, 0), 1e-2)
    lie = judged(changed(outcome, k, costate=costate))
    assert lie.gap - honest.gap > 1e-3


def test_durations_that_are_not_optimal_cost_what_their_gradient_says():
    """Both phases by their own optimum of another link: feasible, each without a defect, and not stationary."""
    other = replace(PHASES, links=lambda a, b: a.horizon - 3 * b.horizon)
    outcome = ocdl.Ipopt().solve_phases(other, DEPTHS, make_starts(other, DEPTHS, None, None))
    free = replace(PHASES, links=None)
    lie = judged_phases(
        free, DEPTHS, replace(outcome, multipliers=outcome.multipliers[:-1]), method="Ipopt", seconds=0.0
    )
    assert lie.feasibility < 1e-9 and lie.attrs["parameter_worth"] > 1e-2


def test_a_file_gives_back_what_was_saved(honest, tmp_path):
    honest.save(tmp_path / "phases.nc")
    again = ocdl.PhasesSolution.load(tmp_path / "phases.nc")
    assert repr(again) == repr(honest)
    assert again.links.identical(honest.links)
    for name, one in honest.items():
        assert again[name].tree.identical(one.tree)
    assert again.times == pytest.approx(honest.times)


def test_other_files_and_damaged_ones_are_refused(honest, tmp_path):
    path = tmp_path / "phases.nc"
    honest.save(path)
    with pytest.raises(ocdl.InvalidInput, match="marked 'ocdl solution 1'"):
        ocdl.load(path)
    honest["a"].save(tmp_path / "one.nc")
    with pytest.raises(ocdl.InvalidInput, match="marked 'ocdl phases 1'"):
        ocdl.PhasesSolution.load(tmp_path / "one.nc")
    damages = (
        (lambda file: file.setncattr("phases", "a,c"), "its phases are"),
        (lambda file: file.delncattr("method"), "it has no method"),
        (lambda file: file.setncattr("status", "GOOD"), "its status is 'GOOD'"),
        (lambda file: file["phases"]["b"].setncattr("cost", "much"), "phase b: its cost"),
        (lambda file: file["links"].renameVariable("value", "worth"), "its links are not whole"),
    )
    whole = path.read_bytes()
    for damage, said in damages:
        path.write_bytes(whole)
        with netCDF4.Dataset(path, "a") as file:
            damage(file)
        with pytest.raises(ocdl.InvalidInput, match=said):
            ocdl.PhasesSolution.load(path)


def test_the_figure_has_every_phase_and_every_name(honest):
    figure = ocdl.plot_phases(honest)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["state  x(t)", "costate  r = −p", "Hamiltonian  H(t)", "control  u(t)"]
    for axes in figure.axes:
        assert {" a", " b"} <= {text.get_text() for text in axes.texts}
        assert np.allclose(axes.get_xlim(), honest.times[[0, -1]])
