"""Every example runs, and the answers it gives are asserted."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from families import script

import ocdl

FOLDER = Path(__file__).parent.parent.parent / "examples"


def example(name):
    return script("examples", name)


def test_every_example_is_tested_here():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {file.stem for file in FOLDER.glob("*.py")} <= tested


def test_exact_neuron():
    for target, name, _, error, status in example("exact_neuron").rows:
        assert abs(error) < (1e-6 if name == "ValueIteration" else 1e-8), (target, name)
        assert (status == "REACHABLE") == (target == 1.0 and name != "ValueIteration")


def test_table_lookup():
    module = example("table_lookup")
    assert pytest.approx(1.054705065, abs=1e-9) == module.EXACT
    assert module.formula.cost == pytest.approx(module.EXACT, abs=1e-9)
    assert not any("table" in note for note in module.formula.notes)
    for kind, order in (("linear", 2), ("bspline", 4)):
        coarse, fine = (abs(module.times[kind, points] - module.EXACT) for points in module.POINTS)
        assert np.log2(coarse / fine) == pytest.approx(order, abs=0.1)


def test_worse_extremal():
    rows = example("worse_extremal").rows
    for _, value, rollout, warm, best, _, _ in rows:
        assert abs(value - best) < 5e-4
        assert 0.0 <= rollout - best < 5e-5
        assert warm == pytest.approx(best, abs=1e-7)
    assert sum(worse for *_, worse, _ in rows) > 0


def test_optimality_gap():
    module = example("optimality_gap")
    assert module.local.cost > module.rollout.cost + 1e-3
    assert 0.0 <= module.rollout.cost - module.best.cost < 5e-5
    gaps = list(module.gaps.values())
    assert all(coarse > 1.5 * fine > 0.0 for coarse, fine in pairwise(gaps))
    assert gaps[-1] < 1e-3


def test_mesh_order():
    shown = example("mesh_order")
    for name, order in shown.orders.items():
        assert 1.7 < order < 2.3, name
        assert np.all(shown.errors[name] > 0.0)
        assert shown.errors[name][-1] < 5e-7


def test_least_norm():
    rows = example("least_norm").rows
    assert all(distance < 1e-8 for *_, distance in rows)
    misses = [miss for _, _, miss, _ in rows]
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] < 1e-3


def test_no_network():
    rows = example("no_network").rows
    for _, direct, indirect, apart, _ in rows:
        assert direct == pytest.approx(indirect, abs=1e-8)
        assert apart < 1e-4
    gaps = [row[-1] for row in rows]
    assert all(1.7 < np.log2(coarse / fine) < 2.3 for coarse, fine in pairwise(gaps))


def test_digits_held_out():
    direct, descent = example("digits_held_out").rows
    assert direct[1] < 0.0030  # a local minimum, of which there are several within 1 %
    assert direct[2] < 1e-6
    assert descent[1] > direct[1]
    for _, _, _, seen, unseen, _ in (direct, descent):
        assert seen == 1.0
        assert unseen > 0.95


def test_binary_weights():
    (_, _, values, binary, _, held_out, _), (_, _, _, box, _, _, _), (_, _, _, wide, *_) = example(
        "binary_weights"
    ).rows
    assert values == 2
    assert wide < box < 0.1 and binary < 0.1
    assert held_out > 0.9


def test_beyond_stationary():
    for _, direct, local, global_, onward in example("beyond_stationary").rows:
        assert local < 1e-8
        assert global_ > 1e-4
        assert onward < direct - 1e-4


def test_switching_times():
    for _, coarse, polished, switches in example("switching_times").rows:
        assert coarse - polished > 1e-6
        assert polished == pytest.approx(0.968069497335, abs=1e-12)
        assert switches["function"].values.tolist() == ["f", "f", "f", "r", "f"]


def test_sine():
    rows = example("sine").rows
    curves = {(start, name): costs for start, name, costs, *_ in rows}
    for _, name, costs, _, tests in rows:
        assert [*tests.values()][-1] == pytest.approx(costs.min(), rel=0.3, abs=2e-3), (
            name
        )  # what was not seen is learnt
    for start in ("good", "zero"):
        early = {name: costs[5] for (of, name), costs in curves.items() if of == start}
        assert early["E-MSA, adaptive ρ"] < min(early["SGD"], early["Adagrad"], early["Adam"]), "per iteration"
        for name in ("E-MSA, adaptive ρ", "SQH", "L-BFGS"):
            assert np.all(np.diff(curves[start, name]) <= 0.0), name
        assert curves[start, "L-BFGS"][-1] < 1e-3
        assert curves[start, "Levenberg–Marquardt"][-1] < 1e-3 * curves[start, "L-BFGS"][-1]
    assert curves["zero", "SGD"][-1] > 0.4
    assert curves["zero", "E-MSA, adaptive ρ"][-1] < 0.2


def test_super_optimal():
    found = example("super_optimal")
    (_, constant, above, fine), (_, linear, _, also_fine), (_, stage, beyond, flagged) = found.rows
    assert not fine and not also_fine and flagged
    assert 0 < constant < 1e-4 and 0 < linear < 1e-4 and above > 0
    assert stage < -1e-6 and beyond > 0  # below the optimum on its own mesh, above it in truth
    assert found.refined.reached and 0 <= found.refined.solution.cost - found.optimum < 5e-9


def test_closed_loop():
    found = example("closed_loop")
    assert found.near.minimum.strict
    assert found.best["the model itself"] == pytest.approx(found.riccati(0.0), abs=1e-3)
    assert found.predicted == pytest.approx(found.best["x(0) = 1.01"], abs=1e-8)  # J is quadratic in x(0)
    for name, (alone, closed) in found.flights.items():
        best = found.best[name]
        assert -1e-4 * best < closed.cost - best < 0.02 * best, name
        assert alone.cost > 1e6 * best, name


def test_receding_horizon():
    found = example("receding_horizon")
    (fallen, _), (near, _), (ahead, torque) = (found.flights[n] for n in ("open loop", "feedback", "receding horizon"))
    assert torque.size == 200 and np.all(np.abs(torque) <= 1.0)
    assert np.max(np.abs(fallen[:, 0])) > np.pi
    for x in (near, ahead):
        assert np.max(np.abs(x[95:, 0])) < 0.2 and np.max(np.abs(x[-1])) < 1e-3
    costs = {name: found.cost(*flight) for name, flight in found.flights.items()}
    assert costs["feedback"] < costs["receding horizon"] < 1.05 * costs["feedback"]


def test_who_takes_what():
    found = example("who_takes_what")
    assert set(found.taken["Ipopt"]) == set(found.FEATURES)
    for name, refusals in found.refusals.items():
        assert not refusals["nothing more"] and not refusals["running cost"], name
        assert all(len(said) > 40 for said in refusals.values() if said), name
    ends = {"x(T) given", "boundary", "free T"}
    assert ends <= set(found.taken["IndirectShooting"]) and ends <= set(found.taken["AugmentedLagrangian"])
    assert "path" in found.refusals["Ipopt (reduced)"]
    special = {"ControlSetNeedleSteps", "DiscreteNeedleSteps", "NewtonCG", "LevenbergMarquardt"}  # sets, dense layers
    public = [getattr(ocdl, name) for name in dir(ocdl) if name not in special]
    methods = {one for one in public if isinstance(one, type) and issubclass(one, ocdl.Method)} - {ocdl.Method}
    assert methods == {type(method) for method in found.METHODS}


def test_runge_kutta_networks():
    rows = example("runge_kutta_networks").rows
    costs = [cost for _, _, cost, *_ in rows]
    assert max(costs) < 1.1 * min(costs)
    for _, name, _, seen, unseen, _ in rows:
        assert min(seen, unseen) > 0.85, name


def test_million_samples():
    module = example("million_samples")
    assert len(set(module.costs.values())) == 1 and len(module.costs) == 3
    assert module.costs["in memory"] < 0.5 * module.first
    assert module.batches < 0.9 * module.first


def test_resnet_limit():
    found = example("resnet_limit")
    grown, placed = found.rows["grown from 5 layers"], found.rows["found by 20 layers"]
    for scheme, order in (("ExplicitEuler", 1), ("ImprovedEuler", 2)):
        orders = np.log2(grown[scheme][:-1] / grown[scheme][1:])  # of loss, controls, states and readout
        assert np.all(np.abs(orders[-1] - order) < 0.1) and np.all(np.abs(orders - order) < 0.25), scheme
        # the other minimiser jumps where nets of 5 and 10 layers cannot
        assert placed[scheme][2, 1] < 0.1 < 0.4 < placed[scheme][1, 1]
        assert np.log2(placed[scheme][-2, 1] / placed[scheme][-1, 1]) == pytest.approx(order, abs=0.1)
    for (name, solution), nodes in zip(found.limits.items(), (5, 20), strict=True):
        jumps = found.jumps(solution)
        layer, inside = divmod(int(jumps.argmax()) + 1, (jumps.size + 1) // nodes)
        assert inside == 0 and 0 < layer < nodes and jumps.max() > 1.0, name
        assert np.median(jumps) < 0.05 * jumps.max(), name  # smooth elsewhere
    places = [int(found.jumps(solution).argmax()) for solution in (found.before, found.after)]
    assert places[0] - places[1] == 3 and float(found.after.history["gradient"][-1]) <= 1e-11
    assert abs(found.after.cost - found.before.cost) > 1e-5 and found.after.gap > 1e-4


def test_width_limit():
    found = example("width_limit")
    orders = {rule: np.log2(table[:-1] / table[1:]) for rule, table in found.rows.items()}
    for rule in ("Midpoint", "Trapezoid"):
        assert np.all(np.abs(orders[rule][-1] - 2.0) < 0.3), rule  # of loss, a and b
    assert np.all(orders["GaussLegendre"][0] > 5.0) and orders["GaussLegendre"][-1, 0] > 7.0
    assert all(found.rank(net) == net.state.sizes["sample"] == 4 for of in found.nets.values() for net in of)
    smooth = np.array([found.jump(net) for net in found.nets["Midpoint"]])
    assert np.all(smooth[1:] < 0.6 * smooth[:-1])  # as the nodes come nearer; with a smaller λ the jump stays
    assert found.rough[-1] > 0.7 * found.rough[0]


def test_digits_ten_classes():
    trained, principle, adam = example("digits_ten_classes").rows
    assert trained[1] < min(principle[1], adam[1])
    assert np.all(np.diff(principle[2]) < 0.0)  # the readout and the layers at once, and every step lowers J
    assert principle[2][3] < min(trained[2][3], adam[2][3]), "per iteration"
    assert trained[3] == 1.0 and trained[4] > 0.85


def test_architectures():
    ends = {net: curve.isel(iteration=-1) for _, net, _, curve in example("architectures").rows}
    assert set(ends) == {"Net", "ResNet", "ODENet", "simplex"}
    for net in ("ResNet", "ODENet", "simplex"):
        assert float(ends["Net"]["loss"].sel(set="test")) > 1.5 * float(ends[net]["loss"].sel(set="test")), net
        assert float(ends[net]["accuracy"].sel(set="test")) > 0.95, net
    assert float(ends["Net"]["accuracy"].sel(set="test")) < 0.95


def test_adversarial_training():
    found = example("adversarial_training")
    plain, adversarial = (row.certificate for row in found.rows.values())
    assert plain.nominal < adversarial.nominal < adversarial.certified < 0.75 * plain.attacked
    assert adversarial.lower <= adversarial.attacked and adversarial.gap < 3e-3
    for row in found.rows.values():
        assert np.all(row.certified <= row.attacked) and np.all(row.attacked - row.certified < 0.03)
    inside = np.flatnonzero(found.BALL.radius <= found.RADII)
    assert np.all(found.adversarial.certified[inside] > found.plain.attacked[inside])
    assert found.adversarial.attacked[0] > 0.85


def test_features_by_layer():
    found = example("features_by_layer")
    flat = {name: values for name, _, values, _, _ in found.rows}
    assert all(values[0] == flat["Net"][0] for values in flat.values())
    assert flat["Net"][-1] < 0.5 * min(flat["ResNet"][-1], flat["simplex"][-1])
    line = np.linspace(0.0, 1.0, 50)[:, None] * np.array([[1.0, 2.0]])
    assert found.flatness(line) < 1e-12


def test_fixed_classifier():
    found = example("fixed_classifier")
    costs = {(name, which): cost for _, name, which, cost, *_ in found.rows}
    for name in ("ResNet", "ODENet", "simplex"):
        assert costs[name, "fixed"] < 0.1 and costs[name, "trained"] < 0.1, name
    for *_, which, _, _, _, (_, solution, _) in found.rows:
        assert (which == "fixed") == np.array_equal(solution["W"].values, found.W)


def test_learnt_time_steps():
    found = example("learnt_time_steps")
    ((_, _, solutions),) = found.rows
    free, simplex = found.steps(solutions["ODENet"]), found.steps(solutions["simplex"])
    assert free.min() < 0.0 and np.all(np.abs(free) > 1e-6)
    assert np.all(simplex >= 0.0) and simplex.sum() == pytest.approx(1.0, abs=1e-12)
    assert 3 <= np.sum(simplex > 1e-6) <= 6


def test_digits_minimal_data():
    rows = example("digits_minimal_data").rows
    for name, curve, *_ in rows:
        seen, unseen = curve["accuracy"].isel(iteration=-1).values
        assert seen == 1.0 and unseen > 0.9, name
    alike = {name: correlation for name, _, correlation, _ in rows}  # of the last features and the image
    assert alike.pop("Net") < 0.2 and min(alike.values()) > 0.35


def test_digits_pipeline():
    scores = {name: np.mean(accuracies) for name, accuracies in example("digits_pipeline").scores.items()}
    expected = {"logistic regression": 0.904, "ResNet": 0.915, "Hamiltonian": 0.923, "MLPClassifier": 0.923}
    assert scores == {name: pytest.approx(accuracy, abs=0.008) for name, accuracy in expected.items()}
    assert scores["logistic regression"] < scores["ResNet"] < scores["Hamiltonian"]


def test_learning_rate():
    module = example("learning_rate")
    stated = module.stated
    assert pytest.approx(1.4722195, abs=5e-8) == stated.SWITCH
    assert pytest.approx(0.03956039679, abs=5e-12) == stated.REFERENCE
    assert len(module.ahead) == 4 and len(module.polished) == 3
    for solution in module.ahead.values():
        assert 0.0 < solution.cost - stated.REFERENCE < 1e-5  # controls constant in 40 layers
    for one in module.polished.values():
        assert one.cost == pytest.approx(stated.REFERENCE, abs=1e-11)
        assert [arc.kind for arc in one.arcs] == ["upper", "interior"]
        assert one.arcs[0].end == pytest.approx(stated.SWITCH, abs=1e-8)
    decayed = 1.0 - stated.S / 4.0  # u = 1 throughout: m(T) = S/4 + (1 − S/4) e^{−2T}
    exact = {"u = 1": stated.S / 4.0 + decayed * np.exp(-2.0 * stated.T), "schedule u(t)": stated.REFERENCE}
    start = [np.sqrt(2.0)]
    for name, value in module.values.items():
        assert module.runs[name].agrees and module.runs[name].left == 0.0
        assert abs(float(value(start)) - exact.get(name, float(value(start)))) <= value.error(start) < 4e-3
    feedback = module.values["feedback u(t, θ)"]
    assert float(feedback(start) + feedback.error(start)) < 0.5 * stated.REFERENCE  # what it is worth to see θ
    found = module.batches["B"]
    middles = found["t"].values + 0.5 * stated.T / len(found["t"])
    assert found.values.ravel() == pytest.approx(stated.best_batch(middles), rel=0.02)
    costs = [one.cost for one in module.friction.values()]
    assert np.ptp(costs) < 1e-7 and max(costs) < stated.REFERENCE


def test_lyapunov_decay():
    found = example("lyapunov_decay")
    potential = found.stable.potential
    assert potential.values[0, 0] == pytest.approx(0.20734, abs=1e-5)
    assert potential.values[-1, 0] == pytest.approx(5.4856e-12, rel=1e-4)
    for case in (found.stable, found.steered):
        assert case.potential.falls and case.energy.falls and case.potential.residual[0] < 1e-12
        assert case.velocity.holds and case.size.holds and case.work.holds
        assert 0.5 * case.potential.rate[-1, 0] == pytest.approx(0.25, abs=1e-7)
    assert not found.unstable.potential.falls and not found.unstable.potential.finding.applies
    assert found.exponential < 1e-12 and np.abs(found.growth.sharpness - 1.0).max() < 1e-12


def test_picard():
    found = example("picard")
    for steps, volterra, _ in found.courses.values():
        assert np.all(steps <= volterra + 1e-13)
    steps, _, contraction = found.courses[6.0]
    assert steps.size == 35 and steps[-1] < 1e-12 and contraction[-1] > 1e20
    for table in found.rows.values():
        for tolerance, (_, _, bound, error) in zip(found.TOLERANCES, table, strict=True):
            assert error <= bound < 2.0 * tolerance


def test_trainability():
    module = example("trainability")
    ordered, line, chaotic = module.accuracies.T
    assert module.line.weight_variance == pytest.approx(1.76095464, abs=5e-9)
    assert min(ordered[0], line[0], chaotic[0]) > 0.75
    assert line[1] > max(ordered[1], chaotic[1]) + 0.1
    assert [theory.phase for theory in module.theories] == ["ordered", "critical", "chaotic"]


def test_value_kinks():
    found = example("value_kinks")
    means = [field.mean for field in found.fields]
    assert means[0] / means[1] > 2.0 and means[1] / means[2] > 2.0 and found.fields[-1].proven
    assert found.found[1].count > 50 and found.found[2].count > 4 * found.found[1].count
    for kinks in found.found:
        assert np.all(kinks.concave) and not np.any(kinks.violated) and np.all(kinks.axis == 0)
        assert np.all(kinks.places[1][:, 0] == 0.0) and kinks.finding.applies
    assert np.all(~found.wrong.concave) and np.all(found.wrong.violated) and not found.wrong.finding.applies
    assert found.wrong.test.max() == pytest.approx(1.0)
    assert np.all(found.bounds["lower"] <= found.bounds["upper"])
    assert 0.005 < float((found.bounds["upper"] - found.bounds["lower"]).max()) < 0.02
    assert np.abs(found.bounds["upper"] - found.bounds["value"]).max() < 1e-3
    assert found.verdict.finding.applies and found.verdict.suboptimality < 0.02


def test_reach_avoid():
    found = example("reach_avoid")
    paths, once = np.moveaxis(found.drives.x, 0, 1), np.array([0.0, 0.0, 2 * np.pi])
    assert np.all(found.safe(found.STARTS) < 0.0) and np.all(
        found.safe.values >= found.in_obstacle(found.safe.grid.states())
    )
    assert np.all(found.safe.values >= found.free.values - 0.5 * found.safe.grid.spacing[0])  # slope 1, V in half cells
    assert found.safe(found.STARTS[0]) > found.free(found.STARTS[0]) + 0.02  # the obstacle is in the way
    assert np.all(found.to_goal(paths).min(axis=1) < 0.0) and found.in_obstacle(paths).max() < 0.0
    assert np.abs(found.safe(found.STARTS + once) - found.safe(found.STARTS)).max() < 1e-9
    assert all(coarse > 1.8 * fine for coarse, fine in pairwise(found.errors)) and found.errors[-1] < 0.006
    value = found.stated["VALUE"]
    assert value == pytest.approx(found.stated["least_cost"](np.ones((1, 2)))[0], abs=1e-12)
    assert found.at_least["its feedback"] == pytest.approx(value, abs=2e-3)
    assert max(found.at_most.values()) < value + 2e-3 and min(found.at_least.values()) > value - 2e-3
    assert found.at_most["nothing"] < value - 0.1 and found.at_least["nothing"] > value + 0.1


def test_singular_conditions():
    found = example("singular_conditions")
    rocket = found.ascent[1].arcs
    assert [(arc.kind, arc.order, arc.verdict) for arc in rocket] == [
        ("upper", None, "strict"), ("singular", 1, "strict"), ("lower", None, "strict"),
    ]  # fmt: skip
    assert rocket[1].begin == pytest.approx(found.rocket.FIRST_SWITCH, abs=1e-4)
    at_rest = [case[1].arcs[0] for case in (found.least, found.worst, found.fuller)]
    assert [arc.order for arc in at_rest] == [1, 1, 2]
    assert [arc.least for arc in at_rest] == pytest.approx([1.0, -1.0, 1.0])
    assert found.least[1].necessary.applies and not found.worst[1].necessary.applies
    assert max(abs(found.least[0].gap), abs(found.worst[0].gap)) < 1e-9  # the maximum principle sees no difference
    for sign, change in found.changes.items():
        assert change == pytest.approx(sign * found.HEIGHTS**2 * found.WIDTH**3 / 3, rel=1e-6)


def test_thermodynamic_limit():
    found = example("thermodynamic_limit")
    limits, means = found.limits, found.means
    for name, strong, weak in (("layers", 1, 1), ("neurons", 1, 2), ("both", 1, 1), ("neurons, trained", 1, 2)):
        limit = limits[name]
        assert all(finding.applies for finding in limit.findings) and limit.converges, name
        assert (limit.expected, limit.weak_expected) == (strong, weak), name
        assert limit.orders[-1] == pytest.approx(strong, abs=0.05), name
        assert limit.weak_orders[-1] == pytest.approx(weak, abs=0.3), name
    jumps = limits["neurons, jumps"]
    assert jumps.findings[0].applies and jumps.converges and jumps.converges_weakly
    assert np.log2(jumps.distance[0] / jumps.distance[-1]) / 2 == pytest.approx(0.5, abs=0.1)
    assert np.log2(jumps.weak_distance[0] / jumps.weak_distance[-1]) / 2 == pytest.approx(1.0, abs=0.25)
    layers, cells = limits["alternating layers"], limits["alternating cells"]
    for name, limit in (("alternating layers", layers), ("alternating cells", cells)):
        (finding,), (of_mean,) = limit.findings, means[name].findings
        assert [one.statement[:2] for one in finding.failing] == ["a_"] and of_mean.applies
        assert abs(found.end(limit) - found.end(means[name])) > 0.01
    assert layers.converges and cells.converges_weakly and not cells.converges
    assert np.ptp(cells.distance) < 1e-12 and cells.distance[-1] > 50 * cells.weak_distance[-1]


def test_stable_training():
    found = example("stable_training")
    rows, nets = found.rows, found.nets
    loss = {name: row["loss"] for name, row in rows.items()}
    attacked = {name: row["under attack"][5] for name, row in rows.items()}
    amplified = {name: row["amplification"][-1] for name, row in rows.items()}
    assert found.DISTANCES[5] == pytest.approx(0.1) and all(net.feasibility < 1e-8 for net in nets.values())
    order = ["plain", "dissipative", "nonexpansive", "nonexpansive steps"]
    assert all(loss[one] < loss[two] for one, two in pairwise(order))
    assert all(amplified[one] > amplified[two] for one, two in pairwise(order))
    assert all(attacked[one] < attacked[two] for one, two in pairwise(order))
    assert [attacked[name] for name in order] == pytest.approx([0.725, 0.77, 0.785, 0.79], abs=0.03)
    assert loss["dissipative"] == pytest.approx(loss["by kernel"], abs=1e-7)
    assert min(rows["dissipative"]["least"].min(), rows["by kernel"]["least"].min()) >= -1e-8
    assert rows["plain"]["least"].min() < -1.0
    assert rows["amplification"]["bound"] <= found.KAPPA * (1 + 1e-7) and rows["bounded"]["bound"] < found.KAPPA
    for name, row in rows.items():
        assert row["growth"] < 1.1 * amplified[name] and not amplified[name] > row["bound"] * (1 + 1e-12), name
    K = nets["nonexpansive steps"]["K"].values
    assert np.linalg.norm(np.eye(2) + found.H * K, np.inf, axis=(1, 2)).max() <= 1 + 1e-7
    free, small = (found.estimates[name] for name in ("contractive", "contractive steps"))
    assert not free.finding.applies and free.growth > 1.0 and amplified["contractive"] > 10.0
    assert small.finding.applies and small.growth <= 1e-12 and amplified["contractive steps"] <= 1 + 1e-12


def test_digits_robustness():
    weak, strong = example("digits_robustness").rows
    for row in (weak, strong):
        found = row.robustness
        assert found.right.sum() >= 14 and row.accuracy > 0.8
        assert np.all(found.certified <= found.attacked) and np.all(found.certified[found.right] > 0.0)
        assert np.all(found.bounds["local"] >= found.bounds["global"]) and found.findings[0].applies
        told = found.network.output(row.images.inputs + found.changes).argmax(axis=1)
        assert np.all(told[found.right] != row.images.labels[found.right])
    assert np.median(weak.robustness.ratio) > 0.55 and np.median(strong.robustness.ratio) > 0.7
    assert strong.median[0] > 1.3 * weak.median[0] and strong.median[1] > weak.median[1]
    grown = [row.conditioning.extremes[-1, :, 0].max() for row in (weak, strong)]
    assert grown[0] > 1.2 * grown[1] > 2.0
    assert all(row.conditioning.findings[1].applies for row in (weak, strong))


def test_reachable_set():
    found = example("reachable_set")
    said = {M: [str(one.verdict) for one in row] for M, row in found.verdicts.items()}
    assert said == {1: ["yes", "no"], 2: ["yes", "no", "yes"], 3: ["yes", "no"]}
    for row in found.verdicts.values():
        assert all(one.distance < 1e-6 for one in row if one.verdict == "yes")
        assert all(0.0 < one.margin <= one.distance for one in row if one.verdict == "no")
    assert found.boxes[1].low[0] == pytest.approx(-0.300772, abs=2e-6)  # the two scalar equations
    assert all(np.all(box.exact) for box in found.boxes.values())
    inner, outer = found.sets[2].volumes
    assert 1.7 < inner < outer < 2.6
    assert not found.sets[2].outer[20, 10] and found.sets[2].outer[20, 0]  # the hourglass is not convex


def test_steady_states():
    found = example("steady_states")
    symmetric, turned, silent, unstable = found.rows
    for _, _, gram, _, measured in (symmetric, turned):
        assert gram.finding.applies and gram.rate == pytest.approx(0.25, abs=1e-13)
        assert measured == pytest.approx(0.25, abs=5e-8)
    assert turned[2].eigenvalues.real == pytest.approx([0.25, 0.658187, 0.658187], abs=1e-6)
    assert turned[2].symmetric == pytest.approx([0.25, 0.408187, 0.908187], abs=1e-6)
    assert silent[2].verdict == "asymptotically stable" and silent[2].guaranteed < 0.0
    assert silent[4] == pytest.approx(0.75 * np.cos(1.3), rel=2e-3)
    assert unstable[1].verdict == "unstable" and unstable[4] == pytest.approx(0.75 * np.cos(1.8), rel=1e-3)
    assert found.resting.growing.applies and found.error < 1e-12


def test_phase_portrait():
    found = example("phase_portrait")
    kinds = [portrait.kind for portrait in found.portraits.values()]
    assert kinds[:4] == ["stable node", "saddle", "stable focus", "centre"]
    assert kinds[4:] == ["line of steady states, stable", "no steady state"]
    assert found.portraits["focus"].linear.eigenvalues == pytest.approx([0.3 + 1j, 0.3 - 1j])
    ends = found.parted.x[-1] - found.REST
    assert np.all(np.abs(ends) > 10.0) and np.all(ends[0] * ends[1] < 0.0)  # opposite sides of the stable manifold
    assert np.linalg.norm(found.parted.x - found.REST, axis=2).min(axis=0).max() < 0.1
    assert found.slope == pytest.approx(found.goal.velocity, abs=1e-10) and np.linalg.norm(found.slope) > 0.5


def test_risk_sensitive():
    module = example("risk_sensitive")
    x = [module.START]
    for k, value in module.values.items():
        P, r = module.exact[k]
        assert abs(float(value(x)) - (P * module.START**2 + r)) <= value.error(x) < 0.02
        assert value.controls(x)[0] == pytest.approx([-P * module.START], rel=0.02)
        assert module.runs[k].agrees
    seeking, neutral, cautious, averse = (module.moments[k] for k in module.AVERSIONS)
    assert seeking[1] > neutral[1] > cautious[1] > averse[1]  # less variance, for a higher mean
    assert neutral[0] < min(seeking[0], cautious[0], averse[0])
    assert module.runs[0.1].mean == pytest.approx(neutral[0] + 0.05 * neutral[1], rel=2e-3)


def test_risk():
    module = example("risk")
    assert np.argmin(module.table, axis=0).tolist() == list(range(len(module.RISKS)))
    assert [one.cost for one in module.solutions.values()] == pytest.approx(np.diag(module.table).tolist(), abs=1e-6)
    seeking, neutral, averse, *_ = module.spread
    assert seeking > neutral > averse


def test_local_entropy():
    module = example("local_entropy")
    axis = np.linspace(-2, 3, 1001)
    everywhere = {gamma: [module.local_entropy(at, gamma) for at in axis] for gamma in module.GAMMAS}
    for gamma, _, theta, _, cost, _ in module.rows:
        entropies = everywhere[gamma]
        assert theta == pytest.approx(axis[np.argmin(entropies)], abs=5e-3)
        assert cost == pytest.approx(module.local_entropy(theta, gamma), abs=1e-7)
        assert cost <= min(entropies) + 1e-9
    (flat, *_), (deep, *_) = ([row[2] for row in module.rows if row[0] == gamma] for gamma in module.GAMMAS)
    assert flat == pytest.approx(1.0, abs=0.05)
    assert deep == pytest.approx(-1.0, abs=0.05)
    far, near = (abs(module.two_moments(1.0, g) - module.local_entropy(1.0, g)) for g in (100.0, 200.0))
    assert np.log2(far / near) == pytest.approx(3.0, abs=0.4)


def test_population():
    module = example("population")
    assert module.fine.cost == pytest.approx(0.248497053, abs=5e-9) and module.fine.gap < 1e-9
    (few, many), (u_few, u_many) = module.COUNTS, (module.table[count][0] for count in module.COUNTS)
    assert 0.25 < np.log(u_few / u_many) / np.log(many / few) < 0.85
    assert all(0.6 <= share <= 1.0 for row in module.table.values() for share in row[2:])
    judged = module.judged
    assert judged.optimum.covers(module.optimum.cost) and judged.cost.covers(module.optimum.cost)
