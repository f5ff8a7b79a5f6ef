"""Integrals, periodic ends and control rates: exact solutions, names, files, plans, phases, and refusals in words."""

import numpy as np
import pytest
import scipy

import ocdl

LAYERS = ocdl.Radau(layers=8, degree=3)
LINEAR = ocdl.Radau(layers=8, degree=3, controls=ocdl.PiecewiseLinear())
STAGES = ocdl.Radau(layers=6, degree=5, controls=ocdl.PerStage())


def solved(problem, grid, **given):
    """An answer that the referee takes for an extremal, and the open loop re-integrated costs the same."""
    found = ocdl.solve(problem, grid, ocdl.Ipopt(), **given)
    assert found.status is ocdl.Status.CONVERGED and found.feasibility < 1e-9
    assert found.certificate.cost == pytest.approx(found.cost, abs=1e-7)
    return found


# -- integrals -------------------------------------------------------------------------------------------------


def bow(low, high, **changed):
    """x' = u from 0 to 0 with ∫ x dt = c at least ∫ u² dt: u = 6 c (1 − 2 t), J = 12 c²."""
    stated = {
        "states": ["h"],
        "controls": ["push"],
        "dynamics": lambda push: push,
        "initial": [0.0],
        "final": [0.0],
        "horizon": 1.0,
        "running": lambda push: push**2,
        "integral": lambda h: h,
        "bounds": ocdl.Box(integral=(low, high)),
    }
    return ocdl.ControlProblem(**{**stated, **changed})


@pytest.mark.parametrize(
    ("low", "high", "attained"),
    [(1, 1, 1.0), (0.5, None, 0.5), (-2, None, 0.0), (None, -1, -1.0), (None, 3, 0.0), (-0.5, 0.5, 0.0)],
)
def test_an_integral_is_kept_in_its_interval(low, high, attained):
    found = solved(bow(low, high), LINEAR)
    assert found.gap < 1e-6
    assert found.cost == pytest.approx(12 * attained**2, abs=1e-7)
    assert found["integral[0]"].values[-1] == pytest.approx(attained, abs=1e-6)
    t = found["h"]["t"].values
    assert found["h"].values == pytest.approx(6 * attained * t * (1 - t), abs=1e-6)


def test_an_integral_without_an_interval_is_zero():
    found = solved(bow(None, None, bounds=ocdl.Box(), running=lambda push: push**2 + 2 * push, initial=[1.0]), LINEAR)
    assert found["integral[0]"].values[-1] == pytest.approx(0.0, abs=1e-12)
    t = found["h"]["t"].values
    assert found["h"].values == pytest.approx((1 - t) * (1 - 3 * t), abs=1e-9)  # x'' constant, ∫ x = 0


def test_rows_bounds_names_and_whole_vectors():
    """u of two controls with given means, each constant: J = Σ c²."""
    means = ocdl.Box(integral=([1.0, -2.0], [1.0, -2.0]), h=(-5, 5))
    stated = {
        "states": ["h"],
        "controls": ["up", "down"],
        "initial": [0.0],
        "horizon": 1.0,
        "bounds": means,
        "running": lambda u: u[0] ** 2 + u[1] ** 2,
    }
    whole = {"dynamics": lambda x, u: u[0] + u[1] - x, "integral": lambda u: u}
    named = {"dynamics": lambda h, up, down: up + down - h, "integral": lambda up, down: [up, down]}
    for formulas in (whole, named):
        problem = ocdl.ControlProblem(**stated, **formulas)
        assert problem.states == ("h", "integral[0]", "integral[1]")
        assert problem.constraints == ("Box(x=...)", "integral=...")
        found = solved(problem, LAYERS)
        assert found.cost == pytest.approx(5.0, abs=1e-9)
        assert found["down"].values == pytest.approx(-2.0, abs=1e-6)


@pytest.mark.parametrize("grid", [LAYERS, ocdl.Kutta4(layers=4)])
def test_formulas_that_are_numbers(grid):
    problem = bow(0, 9, dynamics=3.0, integral=2.0, controls=0, running=None, final=None, terminal=lambda h: h)
    found = ocdl.solve(problem, grid, ocdl.Ipopt())
    assert (found.cost, found["integral[0]"].values[-1]) == pytest.approx((3.0, 2.0), abs=1e-12)


def test_the_integral_is_one_of_true_time_where_the_horizon_is_free():
    """x' = u, |u| ≤ 1 from 0: ∫_0^T x dt = 1 first at T = √2, if time begins at 3 also at √2 more."""
    for t0 in (0.0, 3.0):
        found = solved(
            bow(
                1,
                1,
                final=None,
                t0=t0,
                running=1.0,
                horizon=ocdl.Free(0.1, 10),
                bounds=ocdl.Box(push=(-1, 1), integral=(1, 1)),
            ),
            LAYERS,
        )
        assert found.cost == pytest.approx(np.sqrt(2), abs=1e-7)


def test_the_integral_of_every_sample_is_in_its_interval():
    """x_s(0) = 0, ½ with ∫ x_s dt ≥ 1 under one control: u = 3 (1 − t), J = 3."""
    problem = bow(1, None, initial=[[0.0], [0.5]], final=None, weights=[1, 3])
    found = solved(problem, LINEAR)
    assert found.cost == pytest.approx(3.0, abs=1e-7)
    assert found["integral[0]"].values[-1] == pytest.approx([1.0, 1.5], abs=1e-7)


def test_an_integral_beside_a_lift_by_equations_and_measurements():
    stated = {
        "dynamics": lambda z: -z,
        "initial": [1.0],
        "horizon": 1.0,
        "controls": 0,
        "parameters": ["k"],
        "measurements": ocdl.Measurements(times=[0.5, 1.0], values=np.exp(-2 * np.array([0.5, 1.0]))),
    }
    lift = ocdl.Implicit(lambda x, z, p: z - p[0] * x)
    problem = ocdl.ControlProblem(**stated, lift=lift, integral=lambda z: z, bounds=ocdl.Box(integral=(0, 9), p=(0, 9)))
    found = solved(problem, STAGES)
    assert found["k"].item() == pytest.approx(2.0, abs=1e-6)
    assert found["integral[0]"].values[-1] == pytest.approx(1 - np.exp(-2), abs=1e-6)


# -- periodic ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [True, ["place", "speed"]])
def test_a_forced_oscillator_settles_to_its_period(periodic):
    """x'' + ½ x' + x = cos 2t: x = Re a e^{2it} with a = 1/(1 − 4 + i)."""
    period = np.pi
    problem = ocdl.ControlProblem(
        states=["place", "speed"],
        controls=0,
        dynamics=lambda t, place, speed: [speed, np.cos(2 * t) - place - speed / 2],
        initial=[ocdl.Free(), ocdl.Free()],
        horizon=period,
        running=lambda place: place**2,
        periodic=periodic,
    )
    amplitude = 1 / (1 - 4 + 1j)
    found = solved(problem, STAGES)
    assert found.cost == pytest.approx(abs(amplitude) ** 2 * period / 2, abs=1e-8)
    t = found["place"]["t"].values
    assert found["place"].values == pytest.approx(np.real(amplitude * np.exp(2j * t)), abs=1e-7)


def test_periodic_rows_stand_behind_those_of_boundary():
    """x' = u − x, x(1) = x(0) ≥ 1 with least ∫ u²: u = k eᵗ, k = (1 − 1/e) / sinh 1."""
    problem = ocdl.ControlProblem(
        states=["h"],
        dynamics=lambda h, u: u - h,
        initial=[ocdl.Free()],
        horizon=1.0,
        running=lambda u: u**2,
        boundary=lambda h0: h0,
        periodic=["h"],
        bounds=ocdl.Box(boundary=(1, None)),
    )
    assert problem.constraints == ("boundary=...", "periodic=...")
    k = (1 - np.exp(-1)) / np.sinh(1)
    found = solved(problem, STAGES)
    assert found.cost == pytest.approx(k**2 * (np.exp(2) - 1) / 2, abs=1e-7)
    assert found["h"].values[[0, -1]] == pytest.approx(1.0, abs=1e-7)


# -- rates --------------------------------------------------------------------------------------------------------


def pushed(**changed):
    stated = {
        "states": ["h"],
        "controls": ["push"],
        "dynamics": lambda push: push,
        "initial": [0.0],
        "horizon": 1.0,
        "terminal": lambda h: -h,
        "bounds": ocdl.Box(rate=(-1, 1)),
        "boundary": lambda push0: push0,
    }
    return ocdl.ControlProblem(**{**stated, **changed})


FARTHEST = [  # x' = u as far as |u̇| ≤ 1 allows from u(0) = 0
    ({}, 1 / 2),
    ({"boundary": lambda push0, pushT: [push0, pushT]}, 1 / 4),
    ({"boundary": lambda u0, uT: [u0, uT]}, 1 / 4),
    ({"boundary": None, "bounds": ocdl.Box(rate=(-1, 1), push=(-3, 0.25))}, 1 / 4),
    ({"bounds": ocdl.Box(rate=(-1, 1), push=(-3, 0.25))}, 1 / 32 + 3 / 16),
]


@pytest.mark.parametrize(("changed", "distance"), FARTHEST)
def test_the_farthest_place_at_a_bounded_rate(changed, distance):
    found = solved(pushed(**changed), LAYERS)
    assert -found.cost == pytest.approx(distance, abs=1e-7)
    assert np.all(np.abs(np.diff(found["push"].values)) <= 1 / 8 + 1e-9)
    assert found["rate of push"].sizes["t"] == 8 and list(found.controls) == ["rate"]


def test_a_rate_has_bounds_that_depend_on_depth():
    """u̇ ≤ 1 − t: u = t − t²/2, x(1) = 1/3; controls that are linear in a layer attain it."""
    found = solved(pushed(bounds=ocdl.Box(rate=(-1, lambda t: 1 - t))), LINEAR)
    assert -found.cost == pytest.approx(1 / 3, abs=1e-7)


def test_a_cost_of_rates_has_the_cubic_for_its_answer():
    """∫ u̇² least from 0 to 1 with u = 0 at both ends: u = 6 t (1 − t), J = 12."""
    found = solved(
        pushed(
            final=[1.0], terminal=None, bounds=ocdl.Box(), running=lambda du: du**2, boundary=lambda u0, uT: [u0, uT]
        ),
        LINEAR,
    )
    t = found["push"]["t"].values
    assert found.cost == pytest.approx(12.0, abs=1e-7) and found.gap < 1e-7
    assert found["push"].values == pytest.approx(6 * t * (1 - t), abs=1e-7)


@pytest.mark.parametrize("role", ["running", "effort"])
def test_a_quadratic_cost_of_states_controls_and_rates_is_riccati_s(role):
    """min ∫_0^1 x² + u² + u̇²: V = z·P(0)z of z = (x, u), of which u(0) is free."""
    A, B, Q = np.array([[0.0, 1], [0, 0]]), np.diag([0.0, 1]), np.eye(2)
    flow = scipy.linalg.expm(-np.block([[A, -B], [-Q, -A.T]]))
    P = flow[2:, :2] @ np.linalg.inv(flow[:2, :2])
    costs = {"running": {"running": lambda h, push, du: h**2 + push**2 + du**2}}
    costs["effort"] = {"running": lambda h, du: h**2 + du**2, "effort": lambda push: push**2}
    found = solved(pushed(initial=[1.0], terminal=None, boundary=None, bounds=ocdl.Box(), **costs[role]), STAGES)
    assert found.cost == pytest.approx(P[0, 0] - P[0, 1] ** 2 / P[1, 1], abs=1e-7)
    assert found["push"].values[0] == pytest.approx(-P[0, 1] / P[1, 1], abs=1e-5)


def mixed():
    """a has a rate, b none; both have given means, and all but h are periodic: a = ½, b = y = ⅕, J = 0.93."""
    return ocdl.ControlProblem(
        states=["h", "y"],
        controls=["b", "a"],
        units={"a": "N"},
        dynamics=lambda y, a, b: [a, b - y],
        initial={"h": 0.0, "y": ocdl.Free()},
        horizon=1.0,
        running=lambda u, y: u[0] ** 2 + u[1] ** 2 + (y - 1) ** 2,
        integral=lambda a, b: [a, b],
        periodic=["y", "a"],
        bounds=ocdl.Box(a=(-2, 2), rate=([-np.inf, -5], [np.inf, 5]), integral=([0.5, 0.2], [0.5, 0.2])),
    )


def test_all_at_once_keeps_its_names_in_answers_and_files(tmp_path):
    problem = mixed()
    assert problem.states == ("h", "y", "a", "integral[0]", "integral[1]")
    assert problem.controls == ("b", "rate of a")
    found = solved(problem, LAYERS, start={"a": 0.1, "b": lambda t: t, "x": lambda t: [t, 0.3]})
    assert found.cost == pytest.approx(0.93, abs=1e-8)
    assert found["a"].attrs["units"] == "N" and found["b"].dims == ("t",)
    found.save(tmp_path / "run.nc")
    loaded = ocdl.load(tmp_path / "run.nc")
    assert np.array_equal(loaded["a"], found["a"]) and "rate of a" in str(loaded.summary())
    assert ocdl.simulate(problem, found).cost == pytest.approx(0.93, abs=1e-8)


def test_a_plan_takes_the_states_that_were_stated():
    plan = ocdl.compile(bow(1, 1), LINEAR, ocdl.Ipopt())
    for initial in ([1.0], {"h": 1.0}):
        assert plan.solve(initial=initial).cost == pytest.approx(4.0, abs=1e-9)  # x = 1 − t + 3 t (1 − t)
    with pytest.raises(ocdl.InvalidInput, match="bounds of a problem with integral"):
        plan.solve(bounds=ocdl.Box(integral=(2, 2)))


def test_in_phases_controls_with_rates_go_on_and_integrals_begin_anew():
    later = {"initial": [ocdl.Free()], "boundary": lambda pushT: pushT}
    integral = {"integral": lambda h: h, "bounds": ocdl.Box(rate=(-1, 2), integral=(-9, 9))}
    phases = ocdl.Phases({"one": pushed(**integral, terminal=None), "two": pushed(**integral, **later)})
    grid = ocdl.Radau(layers=3, degree=3)
    found = ocdl.solve(phases, {"one": grid, "two": grid}, ocdl.Ipopt())
    assert found.cost == pytest.approx(-4 / 3, abs=1e-7)  # a triangle of height 4/3 over 2
    assert found["one"]["push"].values[-1] == pytest.approx(found["two"]["push"].values[0], abs=1e-9)
    assert found["one"]["integral[0]"].values[-1] > 0.1 and found["two"]["integral[0]"].values[0] == 0.0


WRONG = [
    (bow, {"bounds": ocdl.Box(integral=([0, 0], [1, 1]))}, r"Box\(integral=...\): .*shape \(1,\).*got \(2,\)"),
    (bow, {"bounds": ocdl.Box(integral=(0, lambda t: t))}, "an integral is one number"),
    (bow, {"integral": None}, "it bounds integral, but the problem has no integral"),
    (bow, {"integral": "h"}, "integral='h': give a function of t, x"),
    (bow, {"integral": lambda h: []}, "integral: it returns no row"),
    (bow, {"integral": lambda v: v}, "integral: .*got v"),
    (bow, {"dynamics": lambda push: [push, push]}, r"dynamics: 1 state\(s\) need 1 derivative\(s\); got 2"),
    (bow, {"periodic": "h"}, "periodic='h': True for all states, or a list of names"),
    (bow, {"periodic": ["v"]}, r"periodic=\['v'\].*of h"),
    (bow, {"periodic": ["push"]}, "A control has values at the ends where its rate is bounded"),
    (bow, {"boundary": lambda push0: push0}, r"boundary: it takes push at an end.*give Box\(rate="),
    (bow, {"terminal": lambda du: du}, "terminal: .*got du"),
    (pushed, {"controls": 0, "dynamics": lambda h: h, "boundary": None}, "this problem has none"),
    (pushed, {"initial": [[0.0], [1.0]]}, "2 samples share their controls"),
    (pushed, {"bounds": ocdl.Box(rate=([0, 0], [1, 1]))}, r"Box\(rate=...\): .*shape \(1,\)"),
]


@pytest.mark.parametrize(("stated", "changed", "said"), WRONG)
def test_what_does_not_fit_is_refused_in_words(stated, changed, said):
    given = {"low": 0.0, "high": 1.0} if stated is bow else {}
    with pytest.raises((ocdl.InvalidInput, ocdl.NotSupported), match=said):
        stated(**given, **changed)


def test_methods_refuse_by_what_the_user_wrote():
    with pytest.raises(ocdl.NotSupported, match=r"constrained by final=\.\.\., integral=\.\.\."):
        ocdl.solve(bow(1, 1), LAYERS, ocdl.NeedleSteps())


def test_names_of_the_user_s_own_come_first():
    """A state called du, a parameter u0 and a state rate are what they were."""
    assert bow(0, 1, states=["du"], dynamics=lambda du: du, integral=lambda du: du).controls == ("push",)
    asked = {"parameters": ["u0"], "boundary": lambda u0, hT: hT - u0, "bounds": ocdl.Box()}
    assert pushed(**asked).states == ("h",)
    assert pushed(states=["rate"], boundary=None, terminal=None, bounds=ocdl.Box(rate=(0, 1))).states == ("rate",)


def test_the_switching_times_of_a_rate_are_polished():
    """2 up, 1 down, from 0 to 0 on [0, 1]: a triangle of height ⅔ that turns at ⅓, where the mesh has no node."""
    problem = pushed(boundary=lambda push0, pushT: [push0, pushT], bounds=ocdl.Box(rate=(-1, 2)))
    polished = ocdl.polish(problem, LAYERS, ocdl.solve(problem, LAYERS, ocdl.Ipopt()))
    assert polished.cost == pytest.approx(-1 / 3, abs=1e-12)
    assert "rate of push upper to 0.333333" in str(polished)
