"""Solution: what is saved is what is loaded, and nothing but ours is loaded."""

import os
import pickle
from functools import cache
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from families import rich, selection

import ocdl
from ocdl import Outcome, Status
from ocdl.doors.report import solution_text
from ocdl.referee.judgement import judged
from ocdl.referee.labels import at_stages
from ocdl.solving.start import make_start


@cache
def made(problem, layers=3, status=Status.CYCLE):
    scheme = ocdl.Radau(layers, degree=2)
    g = np.random.default_rng(0)
    N, s, S, n = layers, 2, problem.samples, problem.n
    outcome = Outcome(
        u=g.uniform(-1, 1, (layers, problem.m)),
        p=g.uniform(-1, 1, problem.P),
        status=status,
        detail="12 iterations, Ünïcode.",
        claim={"cost": 1.25, "costate": g.normal(size=(N + 1, S, n)), "stage_costate": g.normal(size=(N, s, S, n))},
        history={"cost": [3.0, 2.0, 1.0], "gap": [1.0, 0.5, np.nan]},
        extras={"value": xr.DataArray(g.normal(size=(2, 3)), dims=("t", "x0"), coords={"x0": [0.0, 0.5, 1.0]})},
    )
    return judged(problem, scheme, outcome, method="Made", seconds=0.25)


@cache
def problems():
    plane = {"domain": ((0, 1), (0, 1)), "initial": 0.1, "target": 0.2}
    square = ocdl.TensorProduct(ocdl.Midpoint(2), ocdl.Midpoint(2))
    return {
        "one sample": selection().discretise(ocdl.Midpoint(3)),
        "readout": selection(initial=np.eye(3), readout=ocdl.Readout(), target=[0, 1, 1]).discretise(ocdl.Midpoint(3)),
        "plane": selection(**plane).discretise(square),
        "control": rich(2),
    }


@pytest.fixture(params=list(problems()))
def solution(request):
    return made(problems()[request.param])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.nc"
    made(problems()["one sample"]).save(path)
    return path.read_bytes()


@pytest.fixture
def saved(whole, tmp_path):
    path = tmp_path / "run.nc"
    path.write_bytes(whole)
    return path


def test_saved_and_loaded_is_the_same(solution, tmp_path):
    solution.save(tmp_path / "run.nc")
    again = ocdl.load(tmp_path / "run.nc")
    assert again.tree.identical(solution.tree)
    for name in ("method", "status", "detail", "seconds", "cost", "gap", "gap_is_exact", "feasibility"):
        assert getattr(again, name) == getattr(solution, name)
        assert type(getattr(again, name)) is type(getattr(solution, name))
    xr.testing.assert_identical(again.state, solution.state)
    for kind in ("controls", "parameters", "gradient", "claim", "history", "extras"):
        first, second = dict(getattr(solution, kind)), dict(getattr(again, kind))
        assert list(first) == list(second)
        for name, value in first.items():
            assert value.identical(second[name]) if isinstance(value, xr.DataArray) else value == second[name]
    assert repr(again) == repr(solution) and "Made" in repr(again)


@pytest.mark.parametrize("status", list(Status))
def test_every_status_survives(status, tmp_path):
    solution = made(problems()["control"])
    marked = ocdl.Solution(solution.tree.copy())
    marked.tree.attrs["status"] = status.name
    marked.save(str(tmp_path / "run.nc"))
    assert ocdl.load(str(tmp_path / "run.nc")).status is status


def test_saving_twice_overwrites(tmp_path):
    made(problems()["one sample"], layers=5).save(tmp_path / "run.nc")
    made(problems()["one sample"], layers=2).save(tmp_path / "run.nc")
    assert ocdl.load(tmp_path / "run.nc").a.sizes["t"] == 2


def test_loading_executes_nothing(tmp_path, monkeypatch):
    made(problems()["one sample"]).save(tmp_path / "run.nc")

    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert ocdl.load(tmp_path / "run.nc").method == "Made"


def test_a_pickle_is_refused_unopened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "run.nc").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ocdl.InvalidInput, match="netCDF"):
        ocdl.load(tmp_path / "run.nc")
    assert not (tmp_path / "sprung").exists()


def foreign(path):
    xr.Dataset({"temperature": ("x", [1.0, 2.0])}).to_netcdf(path, engine="netcdf4")


def other_version(path):
    xr.Dataset(attrs={"format": "ocdl solution 99"}).to_netcdf(path, engine="netcdf4")


def truncated(path):
    made(problems()["one sample"]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    made(problems()["one sample"]).save(path)
    with netCDF4.Dataset(path, "a") as file:
        file.delncattr("status")


def unknown_status(path):
    made(problems()["one sample"]).save(path)
    with netCDF4.Dataset(path, "a") as file:
        file.status = "SPLENDID"


def gutted(path):
    whole = made(problems()["one sample"])
    xr.DataTree.from_dict({"/": xr.Dataset(attrs=whole.tree.attrs)}).to_netcdf(path, engine="netcdf4")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (foreign, "no such mark"),
        (other_version, "ocdl solution 99"),
        (truncated, "netCDF-4"),
        (lambda path: path.write_text("t,a,b\n0,1,2\n"), "netCDF-4"),
        (lambda path: path.write_bytes(b""), "netCDF-4"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: None, "no such file"),
        (emptied, "status"),
        (unknown_status, "SPLENDID"),
        (gutted, "nodes"),
    ],
    ids=["foreign", "version", "truncated", "text", "empty", "directory", "missing", "attr", "status", "gutted"],
)
def test_what_is_not_ours_is_refused(write, said, tmp_path):
    path = tmp_path / "thing.nc"
    write(path)
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.load(path)
    assert str(path) in str(caught.value) and said in str(caught.value), str(caught.value)


def test_saving_where_no_directory_is_says_so(tmp_path):
    with pytest.raises(ocdl.InvalidInput, match="nowhere"):
        made(problems()["one sample"]).save(tmp_path / "nowhere" / "run.nc")


def test_attributes_are_controls_and_parameters():
    solution = made(problems()["readout"])
    assert solution.W.dims == ("output", "z") and solution.mu.dims == ("output",) and solution.b.dims == ("t", "y", "z")
    with pytest.raises(AttributeError, match=r"no 'c'; its controls are \['a', 'b', 'W', 'mu'\]"):
        _ = solution.c


def test_states_and_costates_at_the_stages_are_the_same_with_and_without_labels():
    problem, depth = problems()["one sample"], ocdl.Radau(3, degree=2)
    solution = made(problem)
    labelled = at_stages(problem, depth, ocdl.Solution(solution.tree))
    for ours, theirs in zip(at_stages(problem, depth, solution), labelled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15, atol=0)


def test_claims_are_in_function_space():
    problem = problems()["one sample"]
    solution = made(problem)
    raw = np.random.default_rng(0)
    raw.uniform(-1, 1, (3, problem.m))
    raw.uniform(-1, 1, problem.P)
    np.testing.assert_allclose(solution.claim["costate"], raw.normal(size=(4, 1, 3)) / problem.state_metric)
    assert solution.claim["cost"] == 1.25 and isinstance(solution.claim["cost"], float)
    assert solution.claim["costate"].dims == ("t", "sample", "y")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\0b.nc", "NUL"),
        ("x" * 300 + ".nc", "cannot be the name of a file"),
        ("file/run.nc", "no directory"),
        ("pipe", "device, pipe or socket"),
        ("loop/run.nc", ""),
    ],
)
def test_impossible_names_are_refused_in_words(name, said, tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ocdl.InvalidInput, match="save\\(") as caught:
        made(problems()["one sample"]).save(f"{tmp_path}/{name}")
    assert said in str(caught.value), str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop", "pipe"]


@pytest.mark.parametrize("name", [5, None, b"run.nc"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ocdl.InvalidInput, match="the name of a file is needed; got"):
        made(problems()["one sample"]).save(name)


def test_a_disk_that_refuses_keeps_the_old_file(tmp_path, monkeypatch):
    solution = made(problems()["one sample"])
    solution.save(tmp_path / "run.nc")
    old = (tmp_path / "run.nc").read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(ocdl.NotWritten, match=r"cannot be written; No space left"):
        solution.save(tmp_path / "run.nc")
    assert os.listdir(tmp_path) == ["run.nc"] and (tmp_path / "run.nc").read_bytes() == old


def test_the_longest_name_that_a_file_may_have(tmp_path):
    made(problems()["one sample"]).save(tmp_path / ("x" * 252 + ".nc"))
    assert len(os.listdir(tmp_path)) == 1


# -- damaged files: each is refused, or everything works ---------------------------------------------------------


def links_to_its_root(file):
    file["layers/loop"] = file["/"]


def has_two_links_to_one_array(file):
    file["layers/again"] = file["nodes/states"]


def has_a_soft_link(file):
    del file["nodes/costate"]
    file["nodes/costate"] = h5py.SoftLink("/nodes/states")


def links_to_another_file(file):
    os.mkfifo(file.filename + ".fifo")  # a reader would wait for ever
    del file["nodes/costate"]
    file["nodes/costate"] = h5py.ExternalLink(file.filename + ".fifo", "/nodes/costate")


def is_stored_in_another_file(file):
    states = file["nodes/states"]
    shape, size = states.shape, states.nbytes
    del file["nodes/states"]
    file.create_dataset("nodes/states", shape, "f8", external=[(__file__, 0, size)])


def is_made_of_another_file(file):
    layout = h5py.VirtualLayout((4, 1, 3), "f8")
    layout[:] = h5py.VirtualSource(__file__, "states", (4, 1, 3))
    del file["nodes/states"]
    file.create_virtual_dataset("nodes/states", layout)


def is_larger_than_itself(file):
    file.create_dataset("extras/huge", (10**6, 10**6), "f8", chunks=(100, 100), compression="gzip")


def misleads_the_library(file):
    file["history/gap"].attrs["DIMENSION_LIST"] = 7  # the netCDF library reads on where it points to


def holds_compounds(file):
    file["extras/pairs"] = np.zeros(3, dtype=[("a", "f8"), ("b", "i4")])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (links_to_its_root, "/layers/loop is a second link"),
        (has_two_links_to_one_array, "is a second link"),
        (has_a_soft_link, "/nodes/costate is a link to elsewhere"),
        (links_to_another_file, "/nodes/costate is a link to elsewhere"),
        (is_stored_in_another_file, "/nodes/states is stored in another file"),
        (is_made_of_another_file, "/nodes/states is stored in another file"),
        (is_larger_than_itself, "/extras/huge would make its arrays larger than the file"),
        (misleads_the_library, "/history/gap has an attribute DIMENSION_LIST"),
        (holds_compounds, "/extras/pairs holds"),
    ],
)
def test_a_file_that_is_not_safe_to_read_is_not_read(saved, harm, said):
    with h5py.File(saved, "a") as file:
        harm(file)
    with pytest.raises(ocdl.InvalidInput, match="not safe to read") as caught:
        ocdl.load(saved)
    assert said in str(caught.value)


def changed(group, name, change):
    """The file with one variable, or the attributes of one, replaced."""

    def harmed(solution):
        data = {node.path: node.to_dataset(inherit=False) for node in solution.tree.subtree}
        data[f"/{group}"] = change(data[f"/{group}"], name) if group else change(data["/"], name)
        return xr.DataTree.from_dict(data)

    return harmed


def marked(value):
    return lambda dataset, name: dataset.assign_attrs({name: value})


def of_kind(kind):
    return lambda dataset, name: dataset.assign({name: dataset[name].astype(kind)})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (changed("", "cost", marked("cheap")), "its cost must be a number; got 'cheap'"),
        (changed("", "gap_is_exact", marked(0.5)), "its gap_is_exact must be 0 or 1"),
        (changed("", "seconds", marked(-1.0)), "seconds must not be negative"),
        (changed("", "detail", marked("\x1b[2J")), "its 'detail' is no text"),
        (changed("", "method", marked(3)), "its method must be text"),
        (changed("", "certificate cost", marked("none")), "its certificate cost must be a number"),
        (changed("", "notes", marked(1.0)), "its notes must be text"),
        (changed("", "scheme", lambda data, name: data.assign_attrs({name: [1.0, 2.0]})), "its scheme must be text"),
        (changed("nodes", "states", lambda data, name: data.drop_vars(name)), "it has no nodes/states"),
        (changed("nodes", "states", of_kind("S8")), "nodes: states holds |S8, not real numbers"),
        (changed("nodes", "states", lambda data, name: data.isel(t=slice(0, -1))), "do not begin at its nodes"),
        (changed("nodes", "t", lambda data, name: data.assign_coords(t=-data.t)), "its nodes t must increase"),
        (changed("nodes", "t", lambda data, name: data.assign_coords(t=data.t * np.nan)), "not finite"),
        (changed("nodes", "y", lambda data, name: data.assign_coords(y=[0.0, 0.0, 1.0])), "equal values"),
        (changed("stages", "depth", lambda data, name: data.drop_vars(name)), "its stages have no depths"),
        (changed("stages", "stage_state", lambda data, name: data.isel(y=[0])), "stages/stage_"),
        (changed("layers", "a", lambda data, name: data.isel(y=0, z=0)), "layers/a has the dimensions"),
        (
            changed("layers", "a", lambda data, name: data.assign(a=data.a.assign_attrs(symbol=3))),
            "is a 'control' of the symbol",
        ),
        (
            changed("layers", "a", lambda data, name: data.assign(a=data.a.assign_attrs(role="parameter"))),
            "of the symbol",
        ),
        (changed("layers", "a", lambda data, name: data.drop_vars(name)), "gradient in a belongs to nothing"),
        (changed("history", "cost", lambda data, name: data.assign(cost=1.0)), "history/cost has the dimensions ()"),
        (changed("extras", "value", lambda data, name: data.isel(t=0)), "extras/value is no table"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_by_name(saved, harm, said):
    harm(made(problems()["one sample"])).to_netcdf(saved, engine="netcdf4")
    with pytest.raises(ocdl.InvalidInput, match="the file is damaged") as caught:
        ocdl.load(saved)
    assert said in str(caught.value), str(caught.value)


def test_what_a_newer_version_adds_is_kept(saved):
    solution = ocdl.load(saved)
    solution.tree.attrs["surprise"] = 1.5
    solution.tree["extras"] = solution.tree["extras"].to_dataset().assign(more=("iteration", [1.0, 2.0, 3.0]))
    solution.save(saved)
    again = ocdl.load(saved)
    assert again.tree.attrs["surprise"] == 1.5 and again.extras["more"].sizes == {"iteration": 3}


@pytest.mark.parametrize("seed", range(12))
def test_of_a_file_with_flipped_or_lost_bytes_nothing_half_works(saved, seed):
    generator, content = np.random.default_rng(seed), bytearray(saved.read_bytes())
    for place in generator.integers(0, len(content), 2 ** (seed % 5)):
        content[place] = generator.integers(0, 256)
    saved.write_bytes(content[: generator.integers(1, len(content))] if seed % 3 == 0 else content)
    try:
        solution = ocdl.load(saved)
    except ocdl.InvalidInput:
        return
    assert repr(solution) and solution_text(solution)
    solution.save(saved)
    try:
        make_start(problems()["one sample"], ocdl.Radau(3, degree=2), solution, None)
    except ocdl.InvalidInput as error:
        assert "start" in str(error)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 300 + ".nc", 7])
def test_an_impossible_path_is_refused(tmp_path, path):
    with pytest.raises(ocdl.InvalidInput, match=r"save\("):
        made(problems()["one sample"]).save(tmp_path / path if path and path != 7 else path)


def test_a_file_of_the_first_format_still_opens():
    """min ∫ u² dt, ẋ = u, from 0 to 1 in T = 1: x = t, J = 1, written by commit 7ad40e5 (November 21, 2026)."""
    old = ocdl.load(Path(__file__).parent / "files" / "solution_1.nc")
    assert old.status is ocdl.Status.CONVERGED and old.cost == pytest.approx(1.0, abs=1e-8)
    assert old["x"].values.ravel() == pytest.approx(old["x"]["t"].values, abs=1e-8)
    assert old["u"].values.ravel() == pytest.approx(1.0, abs=1e-7)


def test_completion_offers_what_can_be_asked_for(solution):
    assert {*solution.controls, *solution.parameters} <= {*dir(solution)}
    offered = solution._ipython_key_completions_()
    assert {*solution.controls, *solution.parameters} < {*offered}
    assert all(solution[name].size for name in offered)
