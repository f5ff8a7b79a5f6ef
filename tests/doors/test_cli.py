"""The command line: what it prints and writes, and how every mistake ends."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import ocdl
from ocdl.campaign import Campaign
from ocdl.campaign.archive import Entry
from ocdl.campaign.problem_file import parse_settings, read_problem_file
from ocdl.doors.cli import main
from ocdl.doors.commands import campaign_exit_code, known_methods, parsed_choices, parsed_seeds
from ocdl.doors.report import file_name, kebab
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method

STATEMENT = """
import os, signal, time
from dataclasses import dataclass
import numpy as np
import ocdl
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method

@dataclass(frozen=True)
class Constant(Method):
    u: float = 0.0
    status: Status = Status.CONVERGED
    claimed: float | None = None

    def solve(self, problem, depth, start, *, progress=None):
        u = np.full((depth.count, problem.m), self.u)
        claim = {} if self.claimed is None else {"cost": self.claimed}
        return Outcome(u, start.p, self.status, claim=claim, history={"cost": [2.0, 1.0]})

class FromStart(Constant):
    def solve(self, problem, depth, start, *, progress=None):
        return Outcome(start.u, start.p, self.status)

class Hanging(Constant):
    def solve(self, problem, depth, start, *, progress=None):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        except KeyboardInterrupt:
            return Outcome(start.u + 0.25, start.p, Status.INTERRUPTED)

def problem(*, horizon=1.0):
    return ocdl.ControlProblem(dynamics=lambda u: [u[0]], initial=[0.0], horizon=horizon,
                               terminal=lambda x: (x[0] - 2.0) ** 2, bounds=ocdl.Box(u=(-1, 1)))

def grid():
    return ocdl.ExplicitEuler(layers=4)

def methods():
    return [Constant(1.0), Constant(0.5, claimed=float("nan")), FromStart()]
"""


@dataclass(frozen=True)
class TestOnly(Method):
    """Lives in the tests, unless a test puts it among ocdl's names."""

    __test__ = False

    def solve(self, problem, depth, start, *, progress=None):
        return Outcome(np.full((depth.count, problem.m), 0.75), start.p, Status.CONVERGED)


@pytest.fixture
def problem_file(tmp_path):
    def written(text=STATEMENT, name="statement.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    return written


@pytest.fixture
def exported(monkeypatch):
    monkeypatch.setattr(ocdl, "TestOnly", TestOnly, raising=False)


@pytest.fixture
def plain_figures(monkeypatch):
    """A blank figure, for tests that are about other files."""
    from matplotlib.figure import Figure

    monkeypatch.setattr("ocdl.doors.report.plot_solution", lambda solution: Figure())


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(result, *words, code=2, where="stderr"):
    """The command ended with a message, not a traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit) and "Traceback" not in result.output
    said = " ".join(getattr(result, where).split())
    assert all(word in said for word in words), said


# -- what it does ----------------------------------------------------------------------------------


def test_compare_prints_the_table_and_writes_the_results(problem_file, tmp_path):
    result = run("compare", problem_file(), "--out", tmp_path / "deep" / "out", "--quiet")
    assert result.exit_code == 0, result.output
    assert "Constant #2" in result.stdout and "attains the lowest cost, J = 1." in result.stdout
    files = {path.name for path in (tmp_path / "deep" / "out").iterdir()}
    assert files == {"constant.nc", "constant-2.nc", "from-start.nc", "comparison.png", "comparison.json"}
    data = strict(tmp_path / "deep" / "out" / "comparison.json")
    assert [row["cost"] for row in data["rows"]] == pytest.approx([1.0, 2.25, 4.0])
    assert data["rows"][1]["claimed"] is None and data["best"] == "Constant"
    saved = ocdl.load(tmp_path / "deep" / "out" / "constant-2.nc")
    assert saved.cost == pytest.approx(2.25) and np.all(saved.u.values == 0.5)


def test_solve_prints_the_verdict_and_writes_the_results(problem_file, tmp_path):
    result = run("solve", problem_file(), "--method", "from-start", "--out", tmp_path / "out", "--seed", 3, "--quiet")
    assert result.exit_code == 0, result.output
    solution = ocdl.load(tmp_path / "out" / "from-start.nc")
    assert f"cost J        {solution.cost:.12g}" in result.stdout and "ExplicitEuler(layers=4)" in result.stdout
    assert np.unique(solution.u.values).size == 4  # random controls
    data = strict(tmp_path / "out" / "from-start.json")
    assert data["cost"] == solution.cost and data["seed"] == 3
    assert (tmp_path / "out" / "from-start.png").read_bytes()[:4] == b"\x89PNG"


def test_a_saved_solution_starts_the_next_and_is_shown(problem_file, tmp_path):
    ocdl_file, path = tmp_path / "run.nc", problem_file()
    first = ocdl.ControlProblem(
        dynamics=lambda u: [u[0]], initial=[0.0], horizon=1.0, terminal=lambda x: x[0], bounds=ocdl.Box(u=(-1, 1))
    )
    ocdl.solve(first, ocdl.ExplicitEuler(layers=4), TestOnly()).save(ocdl_file)
    result = run("solve", path, "--method", "FromStart", "--start", ocdl_file)
    assert f"cost J        {(0.75 - 2) ** 2:.12g}" in result.stdout
    shown = run("show", ocdl_file, "--out", tmp_path / "figures" / "run.svg")
    assert shown.exit_code == 0 and "TestOnly: Converged." in shown.stdout and "cost J        0.75" in shown.stdout
    assert "<svg" in (tmp_path / "figures" / "run.svg").read_text()


def test_the_files_own_start_is_used_unless_another_is_asked_for(problem_file, tmp_path):
    path = problem_file(STATEMENT + "\ndef start():\n    return {'u': np.full((4, 1), 0.5)}\n")
    result = run("solve", path, "--method", "from-start")
    assert "start: start() of " in result.stdout and "cost J        2.25" in result.stdout
    seeded = run("solve", path, "--method", "from-start", "--seed", 1)
    assert "start:" not in seeded.stdout and "cost J        2.25" not in seeded.stdout


def test_settings_reach_the_problem(problem_file):
    result = run("solve", problem_file(), "--method", "constant", "--set", "horizon=2")
    assert "cost J        0\n" in result.stdout


def test_without_grid_and_methods_the_defaults_are_stated(problem_file, exported, monkeypatch):
    monkeypatch.setattr("ocdl.doors.commands.DEFAULT_METHODS", ("TestOnly",))
    result = run("compare", problem_file(STATEMENT.split("def grid")[0]), "--quiet")
    assert result.exit_code == 0, result.output
    assert "grid: Radau(layers=50, degree=3) (the default: " in result.stdout
    assert "methods: TestOnly (the default: " in result.stdout


@pytest.mark.parametrize(
    ("initial", "domain", "width"),
    [
        ("0.5", "(0, 1)", "Midpoint(count=8)"),
        ("np.zeros((2, 3))", "(0, 1)", "Midpoint(count=3)"),
        ("np.zeros(9)", "((0, 1), (0, 1))", "TensorProduct(rules=(Midpoint(count=3), Midpoint(count=3)))"),
        ("lambda y: y[:, 0]", "((0, 1), (0, 1))", "TensorProduct(rules=(Midpoint(count=4), Midpoint(count=4)))"),
    ],
)
def test_the_default_width_fits_the_problem(problem_file, initial, domain, width):
    from ocdl.campaign.problem_file import read_problem_file

    path = problem_file(f"""
        import numpy as np, ocdl
        def problem():
            return ocdl.SelectionProblem(activation=ocdl.Tanh(), horizon=1.0, initial={initial}, target=0.0,
                                         domain={domain})
        """)
    stated = read_problem_file(path, {})
    assert stated.default_grid and repr(stated.grid.width) == width
    stated.problem.discretise(stated.grid.width)


def test_the_files_own_options_are_used_for_a_method_it_lists(problem_file):
    result = run("compare", problem_file(), "--method", "CONSTANT", "--quiet")
    assert "Constant #2" in result.stdout and "FromStart" not in result.stdout


def test_methods_are_found_by_any_spelling_among_the_exported_names(problem_file, exported):
    for spelling in ("test-only", "TestOnly", "TESTONLY", "test_only"):
        result = run("solve", problem_file(), "--method", spelling)
        assert "TestOnly: Converged." in result.stdout, result.output


def test_the_registry_is_what_ocdl_exports():
    known = known_methods()
    assert "test-only" not in known and "method" not in known
    assert all(getattr(ocdl, kind.__name__) is kind and name == kebab(kind.__name__) for name, kind in known.items())
    public = [getattr(ocdl, name) for name in ocdl.__all__]
    exported = {value for value in public if isinstance(value, type) and issubclass(value, Method)}
    assert set(known.values()) == exported - {Method}


def test_names_of_files():
    assert [file_name(n) for n in ("Ipopt", "Ipopt #2", "NeedleSteps")] == ["ipopt", "ipopt-2", "needle-steps"]


def test_version():
    from importlib.metadata import version

    assert run("--version").stdout.strip() == f"ocdl, version {version('ocdl')}"


def test_an_existing_file_is_replaced_only_by_a_whole_one(problem_file, tmp_path, monkeypatch, plain_figures):
    out = tmp_path / "out"
    run("solve", problem_file(), "--method", "constant", "--out", out)
    before = (out / "constant.nc").read_bytes()

    def half(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", half)
    result = run("solve", problem_file(), "--method", "constant", "--out", out)
    refused(result, "constant.nc", "this file cannot be written; No space left on device", "cost J", where="output")
    assert (out / "constant.nc").read_bytes() == before
    assert {path.name for path in out.iterdir()} == {"constant.nc", "constant.png", "constant.json"}


# -- disks, pipes and terminals that fail ------------------------------------------------------------


RESULTS = {"constant.nc", "constant.png", "constant.json"}


def printed_to(stream, monkeypatch, *arguments):
    """The exit code of the command with ``stream`` as its output."""
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as ended:
        main.main([str(argument) for argument in arguments], prog_name="ocdl")
    return ended.value.code


def test_a_disk_that_is_full_loses_neither_the_words_nor_the_other_files(problem_file, tmp_path, plain_figures):
    path, limits = problem_file(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        result = run("solve", path, "--method", "constant", "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    refused(result, "constant.nc", "cannot be written", "Written: ", "constant.json")
    assert "cost J        1\n" in result.stdout
    assert strict(tmp_path / "out" / "constant.json")["cost"] == pytest.approx(1.0)
    assert {path.name for path in (tmp_path / "out").iterdir()} < RESULTS  # whole files only


def test_a_reader_that_has_left_loses_no_file(problem_file, tmp_path, monkeypatch, plain_figures):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        code = printed_to(pipe, monkeypatch, "solve", problem_file(), "--method", "constant", "--out", tmp_path / "out")
    assert code == 0 and {path.name for path in (tmp_path / "out").iterdir()} == RESULTS


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux only")
def test_an_output_that_cannot_be_written_is_said_and_loses_no_file(
    problem_file, tmp_path, monkeypatch, plain_figures, capsys
):
    path, out = problem_file(), tmp_path / "out"
    monkeypatch.setattr("ocdl.doors.commands._say_grid", lambda stated: None)
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:
        code = printed_to(full, monkeypatch, "solve", path, "--method", "constant", "--out", out)
    assert code == 2 and "cannot be printed; No space left on device" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == RESULTS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_terminal_that_lacks_a_character_gets_another(problem_file, tmp_path, monkeypatch, plain_figures, encoding):
    text = STATEMENT.replace("return Outcome(u, start.p,", "return Outcome(u, start.p, detail='σ ≤ 1 − ε.', status=")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    arguments = ["solve", problem_file(text), "--method", "constant", "--out", tmp_path / "out"]
    assert printed_to(terminal, monkeypatch, *arguments) == 0
    terminal.flush()
    assert "? <= 1 - ?." in terminal.buffer.getvalue().decode(encoding)
    assert {path.name for path in (tmp_path / "out").iterdir()} == RESULTS


# -- failures and Ctrl-C ------------------------------------------------------------------------------


FAILING = STATEMENT.replace("Constant(1.0), ", "Constant(1.0, status=Status.ITERATION_LIMIT), ")


def test_a_failed_solve_is_saved_and_ends_with_1(problem_file, tmp_path, plain_figures):
    result = run("solve", problem_file(FAILING), "--method", "constant", "--out", tmp_path / "out")
    refused(result, "Constant: Stopped at the iteration limit", code=1)
    assert ocdl.load(tmp_path / "out" / "constant.nc").status is Status.ITERATION_LIMIT


def test_a_comparison_in_which_one_route_failed_succeeds(problem_file):
    result = run("compare", problem_file(FAILING), "--quiet")
    assert result.exit_code == 0 and "iteration limit" in result.stdout


def test_ctrl_c_saves_the_best_iterate_and_ends_with_130(problem_file, tmp_path):
    """A true signal in a true process; the comparison keeps what was finished before."""
    text = STATEMENT.replace("FromStart()]", "Hanging(), FromStart()]")
    command = [sys.executable, "-m", "ocdl", "compare", problem_file(text), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": "80"})
    assert done.returncode == 130, done.stderr
    assert "Interrupted by the user" in done.stdout and "not run" in done.stdout and "Traceback" not in done.stderr
    assert np.all(ocdl.load(tmp_path / "out" / "hanging.nc").u.values == 0.25)
    assert strict(tmp_path / "out" / "comparison.json")["interrupted"] is True


def test_ctrl_c_in_solve_ends_with_130(problem_file):
    text = STATEMENT.replace("FromStart()]", "Hanging()]")
    result = run("solve", problem_file(text), "--method", "hanging")
    assert result.exit_code == 130 and "cost J        3.0625" in result.stdout  # (0.25 − 2)²
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_any_iterate_ends_with_130(problem_file, tmp_path):
    text = STATEMENT.replace("return ocdl.ExplicitEuler(layers=4)", "raise KeyboardInterrupt")
    result = run("solve", problem_file(text), "--method", "constant")
    assert result.exit_code == 130 and "before there was an iterate" in result.stderr


# -- many solves -----------------------------------------------------------------------------------------

DEADLY = STATEMENT.replace(
    "def problem(*, horizon=1.0):", "def problem(*, horizon=1.0, deadly=False, pause=0.0):"
).replace(
    "    return ocdl.ControlProblem(",
    "    time.sleep(pause)\n    if deadly:\n        os._exit(1)\n    return ocdl.ControlProblem(",
)


def test_a_sweep_gives_up_the_task_that_kills_its_workers_and_the_same_command_goes_on(problem_file, tmp_path):
    """A true death of a true process, twice; the other task is done."""
    out = tmp_path / "out"
    command = ["sweep", problem_file(DEADLY), "--method", "from-start", "--seeds", "3:4", "--vary", "deadly=False,True"]
    command += ["--vary", "horizon=2", "--workers", 1, "--attempts", 2, "--out", out, "--quiet"]
    first = run(*command)
    assert first.exit_code == 0, first.output
    data = strict(out / "outcomes.json")
    assert [(g["settings"]["deadly"], g["solved"], g["tasks"], g["statuses"]) for g in data["groups"]] == [
        ("False", 1, 1, {"converged": 1}), ("True", 0, 1, {"given up": 1})
    ]  # fmt: skip
    assert list(data["lost"].values()) == [2] and first.stdout.count("Its worker died in each of 2 attempts") == 1
    costs = [task["cost"] for task in data["tasks"].values() if task["cost"] is not None]
    assert f"{min(costs):.9g}" in first.stdout and data["groups"][0]["best"] == min(costs)
    for key, task in data["tasks"].items():
        assert task["settings"]["horizon"] == "2" and task["cost"] in (None, *costs)
        assert (out / f"{key}.nc").is_file() is (task["cost"] is not None)
    before = (out / "log.jsonl").read_bytes()
    second = run(*command)
    assert second.exit_code == 0 and "2 of 2 tasks were done before" in second.stdout
    assert (out / "log.jsonl").read_bytes() == before


def test_ctrl_c_ends_a_sweep_at_once_and_keeps_what_is_done(problem_file, tmp_path):
    """The terminal's signal to the whole process group: the workers leave the answer to their parent."""
    out = tmp_path / "out"
    command = ["sweep", problem_file(DEADLY), "--method", "from-start", "--vary", "pause=0,900", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ocdl", *command, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    log, deadline = out / "log.jsonl", time.monotonic() + 300
    while not log.exists() or log.read_text().count('"start"') < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    worker = json.loads(log.read_text().splitlines()[-1])["pid"]
    os.killpg(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=300)
    assert process.returncode == 130, complaints
    assert "1 of 2 tasks were not run" in printed and "The same command goes on." in complaints
    assert "Traceback" not in complaints and not os.path.exists(f"/proc/{worker}")
    assert len(list(out.glob("*.nc"))) == 1 and strict(out / "outcomes.json")["interrupted"] is True


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--vary", "horizon"], ["--vary horizon", "KEY=V1,V2"]),
        (["--vary", "horizon="], ["--vary horizon=", "KEY=V1,V2"]),
        (["--vary", "horizon=1", "--vary", "horizon=2"], ["horizon is varied twice"]),
        (["--vary", "horizon=1,2", "--set", "horizon=3"], ["both fixed", "varied"]),
        (["--vary", "depth=1,2"], ["problem(depth=1)", "its parameters are"]),
        (["--seeds", "0:x"], ["--seeds 0:x", "0:20"]),
        (["--seeds", "4:2"], ["--seeds 4:2"]),
        (["--seeds", "1,1"], ["the same as item 0"]),
        (["--workers", 0], ["workers=0"]),
        (["--attempts", 0], ["attempts=0"]),
    ],
)
def test_a_mistake_in_a_sweep_is_refused_before_anything_is_solved(problem_file, tmp_path, options, words):
    result = run("sweep", problem_file(), "--method", "from-start", "--out", tmp_path / "out", *options)
    refused(result, *words)
    assert not list(tmp_path.glob("out/*.nc"))


def test_values_and_seeds_are_read_as_written():
    assert parsed_choices(["horizon=1,2.5", "name=a,b", "mixed=1,b", "pair=(1, 2),(3, 4)", "one=7"]) == {
        "horizon": [1, 2.5], "name": ["a", "b"], "mixed": [1, "b"], "pair": [(1, 2), (3, 4)], "one": [7]
    }  # fmt: skip
    assert (
        parsed_seeds("0:3") == [0, 1, 2] and parsed_seeds("4,9:11, 2") == [4, 9, 10, 2] and parsed_seeds(None) is None
    )


@pytest.mark.parametrize(
    ("statuses", "interrupted", "code"),
    [
        (["converged", "failed"], False, 0),
        (["iteration limit", "refused"], False, 1),
        (["refused", "not supported"], False, 2),
        (["converged", "not run"], True, 130),
    ],
)
def test_how_a_sweep_ends(tmp_path, statuses, interrupted, code):
    entries = {str(i): Entry(status, "", failed=status != "converged") for i, status in enumerate(statuses)}
    assert campaign_exit_code(Campaign(tmp_path, {}, entries, interrupted=interrupted)) == code


# -- mistakes --------------------------------------------------------------------------------------------


BOX = """
    import ocdl
    def problem():
        return ocdl.SelectionProblem(activation=ocdl.Tanh(), horizon=1.0, initial=0.5, target=2.0,
                                     bounds=ocdl.Box(a={bounds}, b=(-1, 1)))
    """


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", ["a problem file defines a function problem()"]),
        ("problem = 3", ["a problem file defines a function problem()"]),
        ("def problem(:\n    pass", ["line 1: SyntaxError"]),
        ("x = 1\ny = 1 / 0\n", ["line 2: ZeroDivisionError: division by zero"]),
        ("import nowhere_to_be_found", ["line 1: ModuleNotFoundError", "nowhere_to_be_found"]),
        ("import sys\nsys.exit(0)", ["line 2: SystemExit"]),
        ("def problem():\n    return {}", ["problem() must return a SelectionProblem or a ControlProblem; got {}"]),
        ("def problem():\n    return undefined", ["line 2: NameError"]),
        (BOX.format(bounds="(1, -1)"), ["line 5: Box(a=(1, -1)): the lower bound must not exceed", "1 > -1"]),
        (STATEMENT.replace("layers=4", "layers=0"), ["at least one layer; got 0"]),
        (STATEMENT.replace("ocdl.ExplicitEuler(layers=4)", "7"), ["grid=7", "depth scheme"]),
        (STATEMENT.replace("initial=[0.0]", "initial=[float('nan')]"), ["initial", "finite", "nan"]),
        (STATEMENT.replace("return [Constant(1.0)", "return Constant(1.0); [0"), ["methods() must return a list"]),
        (STATEMENT.replace("return [Constant(1.0)", "return [Constant"), ["methods() must return a list"]),
    ],
)
def test_a_bad_problem_file_is_refused_with_its_name_and_line(problem_file, text, words):
    path = problem_file(text)
    refused(run("compare", path, "--quiet"), *words)
    if "grid=7" not in words:
        assert path in run("compare", path, "--quiet").stderr


def test_an_error_in_the_users_function_during_the_solve_names_the_line(problem_file):
    text = BOX.format(bounds="(-1, 1)").replace("initial=0.5", "initial=lambda y: y / undefined")
    refused(run("compare", problem_file(text), "--quiet"), "line 4: initial", "NameError: name 'undefined'")


def test_no_such_file():
    refused(run("solve", "nowhere.py", "--method", "x"), "nowhere.py: there is no such file")


def test_an_unknown_method_is_answered_with_the_known_ones(problem_file, exported):
    for command in ("solve", "compare"):
        refused(
            run(command, problem_file(), "--method", "adam"), "--method adam", "constant", "from-start", "test-only"
        )


def test_a_method_is_needed_to_solve(problem_file):
    refused(run("solve", problem_file()), "--method")


def test_an_unknown_parameter_is_answered_with_the_known_ones(problem_file):
    refused(
        run("solve", problem_file(), "--method", "constant", "--set", "depth=2"),
        "problem(depth=2)", "unexpected keyword argument 'depth'", "its parameters are: horizon",
    )  # fmt: skip


@pytest.mark.parametrize("setting", ["horizon", "=2", "a b=2"])
def test_a_setting_without_a_value_is_refused(problem_file, setting):
    refused(run("solve", problem_file(), "--method", "constant", "--set", setting), f"--set {setting}", "KEY=VALUE")


def test_a_bad_value_of_a_parameter_is_refused(problem_file):
    refused(run("solve", problem_file(), "--method", "constant", "--set", "horizon=-1"), "horizon=-1", "positive")


@pytest.mark.parametrize("command", [["show"], ["solve", "FILE", "--method", "constant", "--start"]])
def test_a_file_that_is_not_ours_is_refused(problem_file, tmp_path, command):
    path = problem_file()
    command = [path if word == "FILE" else word for word in command]
    refused(run(*command, tmp_path / "missing.nc"), "missing.nc", "no such file")
    refused(run(*command, path), "no netCDF-4 file")


def test_start_and_seed_exclude_each_other(problem_file, tmp_path, plain_figures):
    run("solve", problem_file(), "--method", "constant", "--out", tmp_path)
    result = run("solve", problem_file(), "--method", "constant", "--start", tmp_path / "constant.nc", "--seed", 1)
    refused(result, "start", "seed", "not both")


def test_an_out_that_is_a_file_is_refused_before_anything_is_solved(problem_file, tmp_path):
    path = problem_file()
    result = run("solve", path, "--method", "constant", "--out", path)
    refused(result, f"--out {path}", "directory")
    assert "cost J" not in result.stdout


def test_a_figure_of_unknown_format_is_refused(problem_file, tmp_path, plain_figures):
    run("solve", problem_file(), "--method", "constant", "--out", tmp_path)
    refused(run("show", tmp_path / "constant.nc", "--out", tmp_path / "run.docx"), "run.docx", ".png, .pdf, .svg")


def test_value_iteration_refuses_ten_neurons_with_2(problem_file, monkeypatch):
    from ocdl.hjb import ValueIteration

    monkeypatch.setattr(ocdl, "ValueIteration", ValueIteration, raising=False)
    text = BOX.format(bounds="(-1, 1)") + (
        "\n    def grid():\n        return ocdl.Grid(width=ocdl.Midpoint(10), depth=ocdl.ExplicitEuler(layers=4))\n"
    )
    for command in ("solve", "compare"):
        result = run(command, problem_file(text), "--method", "value-iteration", "--quiet")
        assert result.exit_code == 2 and "10 axes" in " ".join(result.output.split())
        assert "Traceback" not in result.output


def strict(path):
    def refuse(literal):
        raise AssertionError(f"{literal} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


VALUES = """
import ocdl
def problem():
    return ocdl.ControlProblem(dynamics=lambda u: [u[0]], initial=[0.0], horizon=1.0,
                               terminal=lambda x: (x[0] - 2.0) ** 2, bounds=ocdl.Box(u=(-1, 1)))
"""


def test_grid_methods_and_start_may_be_values(problem_file):
    path = problem_file(VALUES + "grid = ocdl.Kutta4(3)\nmethods = [ocdl.LBFGSB()]\nstart = {'u': 0.5}\n")
    stated = read_problem_file(path, {})
    assert stated.grid == ocdl.Kutta4(3) and stated.methods == [ocdl.LBFGSB()] and stated.start == {"u": 0.5}
    assert not stated.default_grid


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (VALUES + "grid = 5", ["grid=5", "depth scheme"]),
        (VALUES + "methods = ocdl.LBFGSB()", ["methods() must return a list"]),
        (VALUES + "start = 5", ["start=5", "a Solution or a mapping"]),
        (VALUES + "def grid(q): return 1", ["grid() needs q"]),
        (VALUES + "grid = max", ["grid=", "does not tell its arguments"]),
        ("import ocdl\nproblem = ocdl.Radau(3)", ["in this one problem is a Radau"]),
    ],
)
def test_values_that_do_not_fit_are_named(problem_file, text, words):
    with pytest.raises(ocdl.InvalidInput) as caught:
        read_problem_file(problem_file(text), {})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("source", [bytes(range(256)), b"\x7fELF\0", VALUES.encode("utf-16")])
def test_a_binary_problem_file_is_refused(tmp_path, source):
    (tmp_path / "problem.py").write_bytes(source)
    with pytest.raises(ocdl.InvalidInput, match="a problem file is a Python script; this is binary"):
        read_problem_file(tmp_path / "problem.py", {})


def test_names_that_no_file_has():
    for name in ("a\0b", "a" * 5000):
        with pytest.raises(ocdl.InvalidInput):
            read_problem_file(name, {})


def test_endless_options_are_refused():
    for text, said in (
        ("0:1000000000000", "1000000000000 solves; at most"),
        ("9" * 5000, "FIRST:END"),
        ("0:" + "9" * 5000, "FIRST:END"),
    ):
        with pytest.raises(ocdl.InvalidInput, match=said):
            parsed_seeds(text)
    for settings, said in ((["k=" + "x" * 10**6], "at most 100000 characters"), (["k=1", "k=2"], "k is set twice")):
        with pytest.raises(ocdl.InvalidInput, match=said) as caught:
            parse_settings(settings)
        assert len(str(caught.value)) < 300
    assert parse_settings(["k=" + "-" * 5000 + "1"])["k"].startswith("-")  # too deep to be read: text
