"""Phases as they are stated: what links them, what is refused, and what is left of one with the others held."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.referee.phases import ends_of
from ocdl.statement.phases import Phases

FREE = ocdl.Free()


def mover(**given):
    given = {"initial": [FREE, FREE], "horizon": 1.0} | given
    return ocdl.ControlProblem(
        states=["x", "v"], controls=["u"], dynamics=lambda x, u: [x[1], u], running=lambda u: u**2 / 2, **given
    )


def sled(**given):
    return ocdl.ControlProblem(states=["s"], controls=["u"], dynamics=lambda u: u, initial=[0], horizon=1.0, **given)


def drawn(phases):
    """Random parameters of all phases, and their ends."""
    draw = np.random.default_rng(0)
    p = [draw.uniform(1.0, 2.0, core.P) for core in phases.cores]
    return p, [ends_of(c, draw.uniform(size=(2, 1, c.n)), p) for c, p in zip(phases.cores, p, strict=True)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (({},), "at least one phase"),
        ((3,), "a mapping of names to phases, or a list"),
        (({"a b": mover()},), "'a b'"),
        (({"a": 3},), "every phase is a ControlProblem"),
        (([mover(), mover(t0=1.0)],), "phase1.*leave t0 out"),
        (([mover(), sled()],), "phase1 has none of the states of the phase before, x, v"),
        (([mover(), mover()], {"phase0": lambda x: x}), "'phase0'.*a phase that follows another"),
        (([mover(), mover()], {"phase1": lambda x: x[0]}), "2 value.*got 1"),
        (([mover(), mover()], {"phase1": lambda y: y}), "from x, p; got y"),
        (([mover(), mover()], {"phase1": 2}), "give a function of x, p"),
        (([mover(), mover()], {"phase1": lambda x: ["a", x[1]]}), "an expression or a list of them; got str"),
        (([mover(), mover()], {"phase1": lambda x: [x[5], x[1]]}), "jumps.*raised"),
        (([mover(), mover()], {}, lambda other: other.T), "from phase0, phase1; got other"),
        (([mover(), mover()], {}, lambda phase0: [phase0.T, None]), "a list of them; got NoneType"),
        (([mover(), mover()], {}, lambda phase0: 1.0), "links row 0 depends on no end"),
        (([mover(), mover()], {}, lambda phase0: phase0.T, (1, 0)), "linked.*must not exceed"),
        (([mover(), mover()], {}, None, (0, 0), ["mass"]), "fewer than two phases have 'mass'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(given, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        Phases(*given)


def test_several_samples_are_not_supported():
    with pytest.raises(ocdl.NotSupported, match="of one sample"):
        Phases([mover(initial=[[0, 0], [1, 0]])])


def test_states_of_the_same_name_are_linked_and_jumps_are_as_written():
    plain = Phases({"a": mover(), "b": mover()})
    assert plain.linkage.names == ("x at the begin of b", "v at the begin of b")
    _, e = drawn(plain)
    assert plain.linkage.values(e) == pytest.approx(e[1].x0 - e[0].xT)
    jumping = Phases({"a": mover(), "b": mover()}, {"b": lambda x: [None, x[1] / 2]})
    assert jumping.linkage.names == ("v at the begin of b",)
    assert jumping.linkage.values(e) == pytest.approx([e[1].x0[1] - e[0].xT[1] / 2])


def test_a_phase_begins_where_the_one_before_ends_at_a_number_or_a_time_that_is_free():
    horizons = [1.0, 2.0, ocdl.Free(0.5, 1.5), 1.0]
    phases = Phases([mover(horizon=T, t0=0.25 * (k == 0)) for k, T in enumerate(horizons)])
    assert [core.t0 for core in phases.cores] == [0.25, 1.25, 3.25, ocdl.Free(3.75, 4.75)]
    assert phases.linkage.names[-1] == "t0 of phase3"


def test_one_phase_with_the_others_held_has_its_linkages_behind_its_own_boundary():
    phases = Phases(
        {
            "a": mover(
                parameters=["k"],
                data=[[3.0, 4.0]],
                horizon=ocdl.Free(1, 2),
                boundary=lambda x0, xT, T, p, d: [x0[0] * T + p[0], d[1] * xT[1]],
            ),
            "b": mover(parameters=["j", "k"]),
            "c": sled(),
        },
        jumps={"b": lambda x, p: [x[0] * p, x[1]], "c": lambda x: x[0]},
        links=lambda a, c: [a.horizon * c.xT[0], a.t0 + c.T],
        linked=([0.0, 1.0], [0.0, 5.0]),
        shared=["k"],
    )
    parameters, e = drawn(phases)
    whole = phases.linkage.values(e)
    for k, rows in enumerate(phases.linkage.rows):
        problem, core = phases.given(k, e), phases.cores[k]
        p, data = parameters[k], ca.DM(problem.data[0])
        given = {"x0": ca.DM(e[k].x0), "xT": ca.DM(e[k].xT), "t": ca.DM(core.span), "p": ca.DM(p), "d": data}
        at = problem.evaluate("boundary", ca.DM, **given)
        values = np.ravel(at.full())
        own = values.size - rows.size
        expected = [e[0].x0[0] * e[0].T + e[0].p[0], 4.0 * e[0].xT[1]] if k == 0 else []
        assert values[:own] == pytest.approx(expected)
        assert values[own:] == pytest.approx(whole[rows])
        low, high = problem.interval_at("boundary", np.zeros(1))
        assert np.array_equal(low[0, own:], phases.linkage.low[rows])
        assert np.array_equal(high[0, own:], phases.linkage.high[rows])
