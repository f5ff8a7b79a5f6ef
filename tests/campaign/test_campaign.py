"""Many solves: nothing lost, nothing done twice, whoever is killed; and the same numbers on any number of workers."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import ocdl
from ocdl.campaign import Campaign, Task, multi_start, parameter_sweep, solve_many
from ocdl.campaign.archive import ENDS, Archive, Entry
from ocdl.campaign.outcome import attains
from ocdl.campaign.worker import Work, perform
from ocdl.comparison.rows import Failure
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method

STATEMENT = """
import os, time
from dataclasses import dataclass
import numpy as np
import ocdl

@dataclass(frozen=True)
class FromStart(ocdl.Method):
    status: ocdl.Status = ocdl.Status.CONVERGED

    def solve(self, problem, depth, start, *, progress=None):
        return ocdl.Outcome(start.u, start.p, self.status)

def problem(*, target=1.2, pause=0.0, deadly=False):
    time.sleep(pause)
    if deadly:
        os._exit(1)
    return ocdl.SelectionProblem(activation=ocdl.Tanh(), horizon=1.0, initial=[0.02, -0.5], target=[0.0, target],
                                 bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)))

def grid():
    return ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.ExplicitEuler(layers=4))

def methods():
    return [FromStart(), ocdl.NeedleSteps()]

def start():
    return {"a": 0.5, "b": -0.5}
"""


@dataclass(frozen=True)
class Fixed(Method):
    """The start itself, with a status or an error of the test's choosing."""

    status: Status = Status.CONVERGED
    error: str = ""

    def solve(self, problem, depth, start, *, progress=None):
        kinds = {
            "interrupt": KeyboardInterrupt,
            "exit": SystemExit,
            "bug": ZeroDivisionError,
            "reach": ocdl.NotSupported,
        }
        if self.error:
            raise kinds[self.error](self.error)
        return Outcome(start.u, start.p, self.status)


def integrator(*, target=2.0):
    """ẋ = u, |u| ≤ 1: a function that another process can import."""
    return ocdl.ControlProblem(
        dynamics=lambda u: [u[0]],
        initial=[0.0],
        horizon=1.0,
        terminal=lambda x: (x[0] - target) ** 2,
        bounds=ocdl.Box(u=(-1, 1)),
    )


GRID = ocdl.ExplicitEuler(layers=4)
AT_ONCE = partial(ThreadPoolExecutor, 1)  # no process to wait for, where processes are not what is tested


@pytest.fixture
def statement(tmp_path):
    path = tmp_path / "statement.py"
    path.write_text(STATEMENT, encoding="utf-8")
    return path


def some(count=3, **changes):
    return multi_start(integrator, GRID, **{"method": Fixed(), "seeds": range(count)} | changes)


def events(directory):
    return Archive(directory).events()


def times(directory, *kinds):
    """How often each task had an event of these kinds."""
    return Counter(event["task"] for event in events(directory) if event["event"] in kinds)


def numbers(solution):
    """Everything in a result but its wall times and the name of its task."""
    tree = solution.tree.copy()
    assert tree.attrs.pop("seconds") >= 0.0 and tree.attrs.pop("referee_seconds") >= 0.0
    tree.attrs = {name: value for name, value in tree.attrs.items() if name not in ("task", "statement")}
    if "history" in tree.children:
        timed = [name for name in tree["history"].data_vars if name.endswith("seconds")]
        tree["history"] = tree["history"].dataset.drop_vars(timed)
    return tree


def undisturbed(task):
    """The solve itself, in this process, by no campaign."""
    stated = task.source.read(task.settings)
    grid = stated.grid if task.grid is None else task.grid
    return ocdl.solve(stated.problem, grid, task.method, seed=task.seed, on_failure="return")


# -- killed workers, killed parents ----------------------------------------------------------------------

PARENT = """
import ocdl
from ocdl.campaign import parameter_sweep, solve_many

if __name__ == "__main__":
    tasks = [task for method in (ocdl.Ipopt(), ocdl.NeedleSteps())
             for task in parameter_sweep({path!r}, None, method, {{"pause": [0.2]}}, seeds=range(3))]
    solve_many(tasks, {directory!r}, workers=1)
"""


def test_killed_parents_and_workers_lose_nothing_and_repeat_nothing(statement, tmp_path):
    """kill -9 of the parent, then of a worker, at random moments; the numbers are those of one undisturbed process."""
    directory, seed = tmp_path / "results", random.randrange(10**6)
    sys.stderr.write(f"random moments from seed {seed}\n")
    first, second = random.Random(seed).uniform(0.0, 0.5), random.Random(seed + 1).uniform(0.0, 0.3)
    script = tmp_path / "script.py"
    script.write_text(PARENT.format(path=str(statement), directory=str(directory)))

    parent = subprocess.Popen([sys.executable, str(script)])
    orphan = when_begun(directory, 1)[0]["pid"]
    time.sleep(first)
    parent.kill()
    parent.wait()
    gone(orphan)
    before = {path: path.stat().st_mtime_ns for path in directory.glob("*.nc")}

    tasks = [
        task
        for method in (ocdl.Ipopt(), ocdl.NeedleSteps())
        for task in parameter_sweep(statement, None, method, {"pause": [0.2]}, seeds=range(3))
    ]
    killer = threading.Thread(target=kill_one, args=(directory, len(events(directory)), second))
    killer.start()
    campaign = solve_many(tasks, directory, workers=2)
    killer.join()

    keys = {task.key for task in tasks}
    assert set(campaign) == keys and not any(entry.failed for entry in campaign.entries.values())
    assert times(directory, *ENDS) == dict.fromkeys(keys, 1)
    begun = sum(times(directory, "start").values())
    assert sum(campaign.lost.values()) <= begun - len(keys) <= 2  # the parent's worker, and one killed later
    assert {path.name for path in directory.iterdir() if path.suffix == ".nc"} == {f"{key}.nc" for key in keys}
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    assert not list(directory.glob(".*.part"))
    for task in tasks:
        assert numbers(campaign[task]).identical(numbers(undisturbed(task)))


def when_begun(directory, count, after=0, patience=300.0):
    """The log's starts after line ``after`` as soon as there are ``count``."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        begun = [event for event in events(directory)[after:] if event["event"] == "start"]
        if len(begun) >= count:
            return begun
        time.sleep(0.02)
    raise AssertionError(f"no {count} tasks were begun within {patience} s")


def kill_one(directory, after, delay):
    """kill -9 the worker that began the second task after line ``after`` of the log, a while later."""
    pid = when_begun(directory, 2, after)[1]["pid"]
    time.sleep(delay)
    with suppress(ProcessLookupError):  # it may have done all there was to do
        os.kill(pid, signal.SIGKILL)


def gone(pid, patience=300.0):
    """A worker whose parent was killed ends by itself."""
    deadline = time.monotonic() + patience
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"{pid} survived its parent"
        time.sleep(0.02)


def test_a_worker_killed_between_the_result_and_the_log_is_not_repeated(tmp_path):
    """The result is the record: the missing line is added, once, and nothing is computed."""
    tasks = some(2)
    solve_many(tasks, tmp_path, executor=AT_ONCE)
    log = tmp_path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])  # torn in the midst of the last "end"
    for _ in range(2):
        campaign = solve_many(tasks, tmp_path, executor=AT_ONCE)
        assert not campaign.computed
        assert times(tmp_path, "end") == times(tmp_path, "start") == {task.key: 1 for task in tasks}


def test_two_workers_with_the_same_task_compute_it_once(tmp_path):
    """An orphan of a killed run and a worker of the next: the second waits for the first, and finds its result."""
    task = some(1)[0]
    work = Work.of(task, str(tmp_path), retry_failed=False)
    orphan = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path), task.key], stdout=subprocess.PIPE)
    assert orphan.stdout.readline() == b"held\n"
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(perform, work)
        time.sleep(0.2)
        assert not second.done() and not events(tmp_path)
        orphan.kill()
        assert second.result(timeout=60).status == "converged"
    orphan.wait()
    orphan.stdout.close()
    assert perform(work) == second.result() and times(tmp_path, "start")[task.key] == 1


HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1] + "/.claims", "ab")
fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2].rsplit("-", 1)[-1][:15], 16))
print("held", flush=True)
time.sleep(60)
"""


def test_a_solution_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    solution = undisturbed(some(1)[0])
    solution.save(tmp_path / "run.nc")
    before = (tmp_path / "run.nc").read_bytes()

    def half(self, path, **_):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", half)
    with pytest.raises(ocdl.NotWritten, match="No space"):
        solution.save(tmp_path / "run.nc")
    assert (tmp_path / "run.nc").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# -- executors of any kind ---------------------------------------------------------------------------------


def test_a_dask_cluster_does_the_tasks(tmp_path):
    distributed = pytest.importorskip("distributed")
    tasks = some(3)
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with cluster, distributed.Client(cluster) as client:
        campaign = solve_many(tasks, tmp_path, executor=client.get_executor())
    assert {event["pid"] for event in events(tmp_path)}.isdisjoint({os.getpid()})
    assert times(tmp_path, "end") == {task.key: 1 for task in tasks}
    for task in tasks:
        assert numbers(campaign[task]).identical(numbers(undisturbed(task)))


class Fragile(Executor):
    """Does each task at once, but breaks, as process pools do, on those that ``kills`` says."""

    def __init__(self, kills, before_start=False, error=None):
        self.kills, self.before_start, self.broken, self.error = kills, before_start, False, error
        self.held = []

    def submit(self, function, work):
        if self.broken:
            raise BrokenExecutor("broken before")
        future = Future()
        if not self.kills(work):
            future.set_result(function(work))
            return future
        if not self.before_start:
            Archive(work.directory).note("start", work.key, ticket=work.ticket)
        self.broken = self.error is None
        future.set_exception(self.error or BrokenExecutor("a process died"))
        return future


def test_a_broken_executor_is_renewed_and_only_the_guilty_is_given_up(tmp_path):
    tasks = some(4)
    made = []

    def make():
        made.append(Fragile(lambda work: work.key == tasks[1].key))
        return made[-1]

    campaign = solve_many(tasks, tmp_path, executor=make, attempts=2)
    assert campaign.lost == {tasks[1].key: 2} and len(made) == 3
    assert [entry.status for entry in campaign.entries.values()] == ["converged", "given up", "converged", "converged"]
    assert "2 attempts" in campaign[tasks[1]].message and isinstance(campaign[tasks[1]], Failure)
    assert times(tmp_path, *ENDS) == {task.key: 1 for task in tasks}
    again = solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert not again.computed and again.entries == campaign.entries
    mended = solve_many(tasks, tmp_path, executor=AT_ONCE, retry_failed=True)
    assert mended.computed == {tasks[1].key} and mended.entries[tasks[1].key].status == "converged"
    assert not list(tmp_path.glob("*.failure.json"))


def test_a_task_lost_by_an_executor_that_lives_on_is_redone(tmp_path):
    """What Dask does with a task whose workers died: the future holds an error, the executor goes on."""
    tasks, deaths = some(2), iter([True, False, False, False])
    executor = Fragile(lambda work: next(deaths), error=RuntimeError("KilledWorker"))
    campaign = solve_many(tasks, tmp_path, executor=executor)
    assert campaign.lost == {tasks[0].key: 1} and not any(entry.failed for entry in campaign.entries.values())
    assert [event["why"] for event in events(tmp_path) if event["event"] == "lost"] == ["RuntimeError: KilledWorker"]


def test_an_executor_given_ready_made_that_breaks_is_named_and_what_is_done_is_kept(tmp_path):
    tasks = some(3)
    with pytest.raises(ocdl.SolveFailed, match=r"ready-made.*function that makes one"):
        solve_many(tasks, tmp_path, executor=Fragile(lambda work: work.key == tasks[1].key))
    assert solve_many(tasks, tmp_path, executor=AT_ONCE).computed == {tasks[1].key, tasks[2].key}


def test_workers_that_never_come_to_life_end_the_campaign(tmp_path):
    with pytest.raises(ocdl.SolveFailed, match=r"died 3 times in a row before they began .* __name__ == '__main__'"):
        solve_many(some(2), tmp_path, executor=lambda: Fragile(lambda work: True, before_start=True))
    assert not events(tmp_path)


@pytest.mark.parametrize("error", ["interrupt", ""])
def test_ctrl_c_keeps_what_is_done_and_the_same_call_goes_on(tmp_path, error):
    """Raised in the task, or returned by the method as its status: neither is a result."""
    stopped = Fixed(error=error) if error else Fixed(status=Status.INTERRUPTED)
    tasks = [*some(1), *some(1, method=stopped), *some(1, seeds=[7])]
    campaign = solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert campaign.interrupted and list(campaign.computed) == [tasks[0].key]
    assert campaign[tasks[1]].status == "not run" and "2 of 3 tasks were not run" in str(campaign)
    ended = times(tmp_path, "end")  # the thread may have begun the third before it could be taken back
    assert {tasks[0].key: 1} in (ended, {key: n for key, n in ended.items() if key != tasks[2].key})
    again = solve_many([tasks[0], tasks[2]], tmp_path, executor=AT_ONCE)
    assert again.computed <= {tasks[2].key} and len(list(tmp_path.glob("*.nc"))) == 2
    assert times(tmp_path, "end") == {tasks[0].key: 1, tasks[2].key: 1}


# -- failures ---------------------------------------------------------------------------------------------


def test_failed_solves_are_kept_and_not_repeated_unless_asked_for(statement, tmp_path):
    tasks = some(1, method=Fixed(status=Status.ITERATION_LIMIT)) + some(1)
    for error in ("bug", "exit", "reach"):
        tasks += multi_start(statement, None, Fixed(error=error), seeds=[0])
    tasks += parameter_sweep(integrator, GRID, Fixed(), {"target": ["far"]})
    campaign = solve_many(tasks, tmp_path, executor=AT_ONCE)
    statuses = [entry.status for entry in campaign.entries.values()]
    assert statuses == ["iteration limit", "converged", "failed", "failed", "not supported", "refused"]
    assert campaign[tasks[0]].status is Status.ITERATION_LIMIT and campaign[tasks[0]].u.size == 4
    assert campaign[tasks[2]] == Failure("failed", "ZeroDivisionError: bug")
    assert "terminal: called with" in campaign[tasks[5]].message
    assert not solve_many(tasks, tmp_path, executor=AT_ONCE).computed
    failed = {key for key, entry in campaign.entries.items() if entry.failed}
    assert solve_many(tasks, tmp_path, executor=AT_ONCE, retry_failed=True).computed == failed
    assert "ZeroDivisionError: bug" in str(campaign) and "retry_failed" in str(campaign)


def test_a_problem_file_that_changes_under_way_stops_the_campaign(statement, tmp_path):
    tasks = parameter_sweep(statement, None, ocdl.NeedleSteps(), {"target": [0.9]}, seeds=range(2))
    statement.write_text(STATEMENT + "# another\n")
    with pytest.raises(ocdl.InvalidInput, match=r"statement.py: this file has changed"):
        solve_many(tasks, tmp_path / "results", executor=AT_ONCE)
    statement.write_text(STATEMENT)
    assert len(solve_many(tasks, tmp_path / "results", executor=AT_ONCE).computed) == 2


def test_first_order_certificates_go_through_a_campaign(tmp_path):
    tasks = some(3, method=ocdl.LBFGSB(), certificate="first order")
    done = solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert {done[task].search for task in tasks} == {"first order"}
    (group,) = done.groups()
    assert group.found == 3 and "nan" not in str(done)


def test_a_result_that_cannot_be_written_stops_the_campaign(tmp_path, monkeypatch):
    monkeypatch.setattr(ocdl.Solution, "save", lambda self, path: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(ocdl.InvalidInput, match=r"results cannot be written there .*No space left.*kept"):
        solve_many(some(2), tmp_path, executor=AT_ONCE)
    assert not times(tmp_path, *ENDS)


# -- what a task is ----------------------------------------------------------------------------------------


def test_tasks_are_known_by_their_content(statement, tmp_path):
    def key(**changes):
        return Task(**{"problem": statement, "method": ocdl.Ipopt(), "seed": 1} | changes).key

    other = tmp_path / "copy" / "statement.py"
    other.parent.mkdir()
    other.write_text(STATEMENT)
    assert key() == key(problem=str(other)) == key(seed=np.int64(1)) and key().startswith("statement-Ipopt-seed=1-")
    other.write_text(STATEMENT + "\n")
    assert len({key(seed=None, start=undisturbed(some(1)[0])) for _ in range(2)}) == 1
    nodes = ocdl.Nodes([0.2, 0.8], [0.5, 0.5])
    different = [
        {},
        {"problem": other},
        {"seed": 2},
        {"certificate": "first order"},
        {"seed": None},
        {"seed": None, "start": {"a": 0.5}},
        {"seed": None, "start": {"a": np.float64(0.25)}},
        {"seed": None, "start": {"a": np.full(3, 0.25)}},
        {"seed": None, "start": undisturbed(some(1)[0])},
        {"seed": None, "start": undisturbed(some(2)[1])},
        {"settings": {"target": 1}},
        {"settings": {"target": 1.0}},
        {"settings": {"target": [1.0]}},
        {"settings": {"target": np.zeros(2000)}},
        {"settings": {"target": np.eye(1, 2000)[0]}},
        {"settings": {"target": ocdl.Box(u=(0, 1))}},
        {"settings": {"target": ocdl.Box(u=(0, 2))}},
        {"method": ocdl.Ipopt(tolerance=1e-6)},
        {"method": ocdl.NeedleSteps()},
        {"grid": ocdl.Grid(nodes, GRID)},
        {"grid": ocdl.Grid(replace(nodes, weights=[0.4, 0.6]), GRID)},
        {"grid": ocdl.Grid(nodes, replace(GRID, layers=5))},
        {"grid": ocdl.Grid(nodes, ocdl.ImprovedEuler(4))},
    ]
    assert len({key(**changes) for changes in different}) == len(different)
    used = ocdl.Grid(nodes, ocdl.ImplicitMidpoint(4))
    before = key(grid=used)
    assert used.depth.tableau.stages == 1 and key(grid=used) == before  # what a scheme caches is no content
    assert Task(problem=statement, method=ocdl.Ipopt()) in {Task(problem=str(statement), method=ocdl.Ipopt())}


def test_the_order_of_settings_does_not_matter(statement):
    one = {"target": 1.0, "pause": {"b": {3, 1, 2}, "a": 2}}
    two = {"pause": {"a": 2, "b": {2, 3, 1}}, "target": 1.0}
    assert len({Task(problem=statement, method=ocdl.Ipopt(), settings=settings) for settings in (one, two)}) == 1


def test_a_solution_or_its_file_may_be_the_start(tmp_path):
    first = undisturbed(some(1)[0])
    first.save(tmp_path / "first.nc")
    starts = [first, tmp_path / "first.nc", {"u": first.u.values}]
    tasks = [Task(problem=integrator, grid=GRID, method=Fixed(), start=start) for start in starts]
    for solution in solve_many(tasks, tmp_path / "results", executor=AT_ONCE).values():
        assert solution.controls["u"].equals(first.controls["u"])


def test_without_a_seed_the_files_own_start_is_used(statement, tmp_path):
    from ocdl.campaign.problem_file import read_problem_file

    own = read_problem_file(statement, {}).methods[0]
    tasks = [Task(problem=statement, method=own), Task(problem=statement, method=own, seed=0)]
    given, drawn = solve_many(tasks, tmp_path / "results", executor=AT_ONCE).values()
    assert np.all(given.a == 0.5) and np.all(given.b == -0.5) and np.unique(drawn.a).size == 8


def inner():
    return lambda: integrator()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problem": lambda: integrator()}, ["a lambda has no such name", "def problem(...)", "problem file"]),
        ({"problem": inner()}, ["a lambda has no such name"]),
        ({"problem": partial(integrator, target=1.0)}, ["has no such name"]),
        ({"problem": integrator()}, ["Task(problem=<ControlProblem>)", "give the function that makes it"]),
        ({"problem": "nowhere.py"}, ["Task(problem='nowhere.py')", "no such file"]),
        ({"problem": 3}, ["Task(problem=3)"]),
        ({"settings": {"target": lambda y: y}}, ["Task(settings=...)", "a lambda has no such name"]),
        ({"settings": {"targte": 1.0}}, ["test_campaign.py:integrator", "targte", "its parameters are: target"]),
        ({"settings": {"target": iter([])}}, ["Task(settings=...)", "content cannot be told"]),
        ({"settings": [1]}, ["Task(settings=[1])"]),
        ({"method": ocdl.Ipopt}, ["Task(method=", "ocdl.Ipopt()"]),
        ({"grid": 7}, ["Task(grid=7)"]),
        ({"seed": -1}, ["Task(seed=-1)", "at least 0"]),
        ({"seed": 1, "start": {"u": 0.0}}, ["start", "seed", "not both"]),
        ({"start": "nowhere.nc"}, ["nowhere.nc", "cannot be read"]),
    ],
)
def test_a_task_that_cannot_travel_is_refused(changes, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        Task(**{"problem": integrator, "method": Fixed()} | changes)
    assert all(part in str(caught.value) for part in said), str(caught.value)


# -- the door ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "how", "said"),
    [
        ([], {}, "at least one task"),
        (None, {}, "give a list of tasks"),
        ([integrator], {}, "item 0 is <function integrator"),
        (lambda: [*some(2), *some(1)], {}, "item 2 is the same as item 0"),
        (some, {"workers": 0}, "workers=0"),
        (some, {"attempts": 0}, "attempts=0"),
        (some, {"executor": 3}, "executor=3"),
        (some, {"executor": lambda: 3}, "must make a concurrent.futures.Executor; got 3"),
    ],
)
def test_bad_input_is_refused_before_anything_is_done(tmp_path, tasks, how, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        solve_many(tasks() if callable(tasks) else tasks, tmp_path / "results", **how)
    assert said in str(caught.value), str(caught.value)
    assert not events(tmp_path / "results")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: solve_many(some(1), 3), "solve_many(..., 3)"),
        (lambda: multi_start(integrator, GRID, Fixed(), seeds=3), "seeds=3"),
        (lambda: parameter_sweep(integrator, GRID, Fixed(), ["target"]), "vary=['target']"),
        (lambda: parameter_sweep(integrator, GRID, Fixed(), {"target": 3.0}), "{'target': 3.0}"),
        (lambda: parameter_sweep(integrator, GRID, Fixed(), {"target": "ab"}), "{'target': 'ab'}"),
        (lambda: parameter_sweep(integrator, GRID, Fixed(), {"target": [1]}, settings={"target": 2}), "both fixed"),
    ],
)
def test_what_is_no_list_or_directory_is_named(made, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        made()
    assert said in str(caught.value), str(caught.value)


def test_an_executor_that_is_shut_down_is_named(tmp_path):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ocdl.SolveFailed, match=r"takes no tasks .*shutdown"):
        solve_many(some(1), tmp_path, executor=executor)


def test_a_directory_in_use_is_refused(tmp_path):
    tasks = some(2)
    said = rf"another run is at work there \(process {os.getpid()} on"
    with Archive(tmp_path).occupied({task.key: task for task in tasks}), pytest.raises(ocdl.InvalidInput, match=said):
        solve_many(tasks, tmp_path, executor=AT_ONCE)
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with other:
        other.stdout.readline()
        with pytest.raises(ocdl.InvalidInput, match="another run is at work there"):
            solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert len(solve_many(tasks, tmp_path, executor=AT_ONCE).computed) == 2


def test_a_directory_of_another_campaign_is_refused_and_one_of_these_tasks_can_grow(tmp_path):
    solve_many(some(2), tmp_path, executor=AT_ONCE)
    with pytest.raises(ocdl.InvalidInput, match=r"another campaign, of 2 task\(s\) such as integrator-Fixed-seed=0"):
        solve_many(some(seeds=range(5, 7)), tmp_path, executor=AT_ONCE)
    assert len(solve_many(some(4), tmp_path, executor=AT_ONCE).computed) == 2
    assert len(json.loads((tmp_path / "campaign.json").read_text())["tasks"]) == 4


def test_a_directory_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ocdl.InvalidInput, match="a directory that can be written is needed"):
        solve_many(some(1), tmp_path / "file" / "results", executor=AT_ONCE)


def test_a_damaged_result_is_named(tmp_path):
    (task,) = some(1)
    solve_many([task], tmp_path, executor=AT_ONCE)
    (tmp_path / f"{task.key}.nc").write_bytes(b"half")
    with pytest.raises(ocdl.InvalidInput, match=f"{task.key}.nc: this result is damaged; delete it"):
        solve_many([task], tmp_path, executor=AT_ONCE)


# -- what is found ---------------------------------------------------------------------------------------------


def test_the_campaign_is_a_mapping_with_a_table(tmp_path):
    tasks = parameter_sweep(integrator, GRID, ocdl.NeedleSteps(), {"target": [2.0, 3.0]}, seeds=range(2))
    tasks += parameter_sweep(integrator, GRID, Fixed(), {"target": [2.0]}, seeds=[5])
    campaign = solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert isinstance(campaign, Campaign) and len(campaign) == 5 and tasks[0] in campaign and "x" not in campaign
    assert campaign[tasks[0]].cost == pytest.approx(1.0) and campaign[tasks[0].key].method == "NeedleSteps"
    assert campaign.best.cost == pytest.approx(1.0) and campaign.where(target=3.0).best.cost == pytest.approx(4.0)
    table = campaign.table()
    assert list(table["task"].values) == [task.key for task in tasks]
    np.testing.assert_array_equal(table["target"], [2, 2, 3, 3, 2])
    np.testing.assert_array_equal(table["seed"], [0, 1, 0, 1, 5])
    np.testing.assert_array_equal(table["cost"], [campaign[task].cost for task in tasks])
    table.to_netcdf(tmp_path / "table.nc")
    groups = campaign.groups()
    assert [(g.settings["target"], g.settings["method"], g.found, g.tasks) for g in groups] == [
        ("2.0", "NeedleSteps", 2, 2), ("3.0", "NeedleSteps", 2, 2), ("2.0", "Fixed", 1, 1)
    ]  # fmt: skip
    shown = str(campaign)
    assert "2 converged" in shown and "best cost J" in shown and max(map(len, shown.splitlines())) <= 120
    assert json.dumps(campaign.summary(), allow_nan=False)
    with pytest.raises(ocdl.InvalidInput, match="no task has these settings"):
        campaign.where(target=4.0)
    with pytest.raises(KeyError):
        campaign["x"]


def test_statements_that_differ_do_not_share_a_best_cost(tmp_path):
    """How often the best cost was found is asked within each combination of settings."""
    tasks = parameter_sweep(integrator, GRID, ocdl.NeedleSteps(), {"target": [0.5, 3.0]}, seeds=range(2))
    campaign = solve_many(tasks, tmp_path, executor=AT_ONCE)
    assert [group.found for group in campaign.groups()] == [2, 2]
    assert [group.statuses for group in campaign.groups()] == [{"reachable": 2}, {"converged": 2}]
    assert "Lowest cost" not in str(campaign)


@pytest.mark.parametrize(
    ("cost", "gap", "status", "found"),
    [
        (1.0, 0.0, "converged", True),
        (1.0 + 5e-7, 0.0, "converged", True),
        (1.0 + 1e-5, 1e-6, "converged", False),
        (1.0 + 1e-5, 1e-5, "converged", True),
        (1.1, 1.0, "converged", False),  # far from any extremal, its gap explains whatever one likes
        (1.1, 0.0, "reachable", False),
    ],
)
def test_a_cost_is_the_best_within_rounding_and_its_gap(cost, gap, status, found):
    best = Entry("converged", "", False, cost=1.0, gap=1e-9)
    assert attains(Entry(status, "", False, cost=cost, gap=gap), best) is found
