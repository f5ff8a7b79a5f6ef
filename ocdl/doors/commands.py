"""What ``ocdl solve``, ``ocdl compare``, ``ocdl sweep`` and ``ocdl show`` do; ``cli`` says how they are called."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import click

import ocdl
from ocdl.campaign import Campaign, parameter_sweep, solve_many
from ocdl.campaign.problem_file import ProblemFile, parse_settings, read_problem_file
from ocdl.comparison.compare import Comparison, compare
from ocdl.doors.exit_codes import FAILED, INTERRUPTED, REFUSED
from ocdl.doors.plot import plot_solution
from ocdl.doors.report import (
    kebab,
    made_directory,
    solution_text,
    write_comparison,
    write_figure,
    write_json,
    write_solution,
)
from ocdl.errors import InvalidInput, NotSupported, NotWritten
from ocdl.interrupts import uninterrupted
from ocdl.referee.outcome import Status
from ocdl.referee.solution import Solution, load
from ocdl.solving.method import Method
from ocdl.solving.solve import solve

MOST_SOLVES = 100_000  # of one campaign

DEFAULT_METHODS = ("Ipopt", "NeedleSteps", "ValueIteration")


def solve_file(
    file: Path, name: str, out: str | None, seed: int | None, start: str | None, settings: Sequence[str], progress: bool
) -> None:
    """Solve the problem in FILE by one method."""
    stated = read_problem_file(file, parse_settings(settings))
    method = chosen_methods((name,), stated)[0]
    directory = None if out is None else made_directory(out)
    beginning = chosen_start(start, seed, stated)
    _say_grid(stated)
    with stated.blamed():
        solution = solve(
            stated.problem, stated.grid, method, start=beginning, seed=seed, on_failure="return", progress=progress
        )
    about = {"problem": str(file), "grid": repr(stated.grid), "seed": seed}
    _deliver(lambda: solution_text(solution), directory, lambda out: write_solution(solution, out, **about))
    _leave(solution)


def compare_file(
    file: Path,
    names: tuple[str, ...],
    out: str | None,
    seed: int | None,
    start: str | None,
    settings: Sequence[str],
    progress: bool,
) -> None:
    """Solve the problem in FILE by several methods and compare the answers."""
    stated = read_problem_file(file, parse_settings(settings))
    methods = chosen_methods(names, stated)
    directory = None if out is None else made_directory(out)
    beginning = chosen_start(start, seed, stated)
    _say_grid(stated)
    if not names and stated.methods is None:
        _say(f"methods: {', '.join(method.name for method in methods)} (the default: {file} has no methods())")
    with stated.blamed():
        comparison = compare(stated.problem, stated.grid, methods, start=beginning, seed=seed, progress=progress)
    about = {"problem": str(file), "grid": repr(stated.grid), "seed": seed}
    _deliver(lambda: str(comparison), directory, lambda out: write_comparison(comparison, out, **about))
    click.get_current_context().exit(comparison_exit_code(comparison))


def sweep_file(
    file: Path,
    names: tuple[str, ...],
    out: str,
    seeds: str | None,
    vary: Sequence[str],
    settings: Sequence[str],
    workers: int,
    attempts: int,
    retry_failed: bool,
    progress: bool | None,
) -> None:
    """Solve the problem in FILE many times, for random starts and combinations of its parameters."""
    fixed, varied = parse_settings(settings), parsed_choices(vary)
    stated = read_problem_file(file, fixed | {name: values[0] for name, values in varied.items()})
    seeded = parsed_seeds(seeds)
    check_count("--seeds, --vary", prod(map(len, varied.values())) * len(seeded or [None]))
    tasks = [
        task
        for method in chosen_methods(names, stated)
        for task in parameter_sweep(file, None, method, varied, seeds=seeded, settings=fixed)
    ]
    directory = made_directory(out)
    _say_grid(stated)
    campaign = solve_many(
        tasks, directory, workers=workers, attempts=attempts, retry_failed=retry_failed, progress=progress
    )
    _deliver(lambda: str(campaign), directory, lambda out: [write_json(campaign.summary(), out / "outcomes.json")])
    if campaign.interrupted:
        click.echo(f"Interrupted; what is done is kept in {directory}. The same command goes on.", err=True)
    click.get_current_context().exit(campaign_exit_code(campaign))


def show_file(file: str, out: str | None) -> None:
    """Print a saved solution."""
    solution = load(file)
    directory = None if out is None else made_directory(Path(out).parent)
    figure = Path(out or "").name
    _deliver(
        lambda: solution_text(solution),
        directory,
        lambda there: [write_figure(plot_solution(solution), there / figure)],
    )


# -- methods by name -------------------------------------------------------------------------------------


def known_methods() -> dict[str, type[Method]]:
    """Every method that ocdl exports, by its name on the command line."""
    exported = (getattr(ocdl, name) for name in sorted({*ocdl.__all__, *vars(ocdl)}))
    classes = [c for c in exported if inspect.isclass(c) and issubclass(c, Method) and c is not Method]
    return {kebab(c.__name__): c for c in sorted(classes, key=lambda c: c.__name__)}


def chosen_methods(names: Sequence[str], stated: ProblemFile) -> list[Method]:
    """The methods asked for (with the file's own options where it lists them), else the file's, else the default."""
    if names:
        return [method for name in names for method in _by_name(name, stated.methods or [])]
    if stated.methods is not None:
        return list(stated.methods)
    known = known_methods()
    return [known[kebab(name)]() for name in DEFAULT_METHODS if kebab(name) in known]


def _by_name(name: str, own: Sequence[Method]) -> list[Method]:
    known = known_methods()
    in_file = [method for method in own if _plain(method.name) == _plain(name)]
    if in_file:
        return in_file
    for kebab_name, kind in known.items():
        if _plain(kebab_name) == _plain(name):
            return [kind()]
    listed = sorted({*known, *(kebab(method.name) for method in own)})
    raise InvalidInput(f"--method {name}: there is no such method; known are {', '.join(listed)}.")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def chosen_start(path: str | None, seed: int | None, stated: ProblemFile) -> Any:
    """The saved solution asked for, or the file's own start() unless a seed is given."""
    if path is not None:
        return load(path)
    if stated.start is None or seed is not None:
        return None
    _say(f"start: start() of {stated.path}")
    return stated.start


# -- what to sweep over -----------------------------------------------------------------------------------


def parsed_choices(vary: Sequence[str]) -> dict[str, list[Any]]:
    """``--vary key=v1,v2``: Python literals, else words."""
    choices: dict[str, list[Any]] = {}
    for given in vary:
        key, equals, values = given.partition("=")
        if not equals or not key.isidentifier() or not values.strip(", "):
            raise InvalidInput(f"--vary {given}: write KEY=V1,V2 with a parameter of problem(), e.g. horizon=1,2,3.")
        if key in choices:
            raise InvalidInput(f"--vary {given}: {key} is varied twice; give all its values at once.")
        together = parse_settings([f"{key}=({values},)"])[key]
        words = values.split(",")
        choices[key] = (
            list(together) if isinstance(together, tuple) else [parse_settings([f"{key}={v}"])[key] for v in words]
        )
    return choices


def parsed_seeds(text: str | None) -> list[int] | None:
    """``0:20`` are the seeds from 0 to 19; ``1,5,9`` these."""
    if text is None:
        return None
    parts = [re.fullmatch(r"\s*(\d{1,18})(?::(\d{1,18}))?\s*", part, re.ASCII) for part in text.split(",")]
    ends = [(int(part[1]), int(part[2]) if part[2] else int(part[1]) + 1) for part in parts if part]
    count = sum(max(0, end - first) for first, end in ends)
    if not count or not all(parts):
        raise InvalidInput(
            f"--seeds {text[:80]}: write FIRST:END, e.g. 0:20 for 0 to 19, or whole numbers such as 1,5,9."
        )
    check_count(f"--seeds {text[:80]}", count)
    return [seed for first, end in ends for seed in range(first, end)]


def check_count(said: str, solves: int) -> None:
    """Raise InvalidInput where more solves are asked for than a campaign keeps track of."""
    if solves > MOST_SOLVES:
        raise InvalidInput(f"{said}: these are {solves} solves; at most {MOST_SOLVES} at a time.")


# -- how a command ends ------------------------------------------------------------------------------------


def comparison_exit_code(comparison: Comparison) -> int:
    """130 interrupted; 0 where a solution counts; 1 where all failed; 2 where every route refused the problem."""
    if comparison.interrupted:
        return INTERRUPTED
    if any(not solution.status.failed for solution in comparison.solutions.values()):
        return 0
    refusals = [isinstance(f.error, (NotSupported, InvalidInput)) for f in comparison.failures.values()]
    return REFUSED if refusals and all(refusals) and not comparison.solutions else FAILED


def campaign_exit_code(campaign: Campaign) -> int:
    """130 interrupted; 0 where a task was solved; 1 where all failed; 2 where the problem was refused in all."""
    if campaign.interrupted:
        return INTERRUPTED
    if any(not entry.failed for entry in campaign.entries.values()):
        return 0
    refused = all(entry.status in ("refused", "not supported") for entry in campaign.entries.values())
    return REFUSED if refused else FAILED


def _leave(solution: Solution) -> None:
    context = click.get_current_context()
    if solution.status is Status.INTERRUPTED:
        click.echo(solution.status.value, err=True)
        context.exit(INTERRUPTED)
    if solution.status.failed:
        click.echo(f"Error: {solution.method}: {solution.status.value}", err=True)
        context.exit(FAILED)


def _say_grid(stated: ProblemFile) -> None:
    note = f" (the default: {stated.path} has no grid())" if stated.default_grid else ""
    _say(f"grid: {stated.grid!r}{note}")


def _deliver(text: Callable[[], str], directory: Path | None, write: Callable[[Path], list[Path]]) -> None:
    """The files, then the words: neither Ctrl-C nor a terminal, pipe or disk that fails loses a result."""
    refused: InvalidInput | NotWritten | None = None
    with uninterrupted() as ctrl_c:
        lines = []
        try:
            files = [] if directory is None else write(directory)
            lines = ["wrote " + ", ".join(map(str, files))] * bool(files)
        except (InvalidInput, NotWritten) as error:
            refused = error
        _say("\n".join([text(), *lines]))
        if ctrl_c.taken():
            click.get_current_context().exit(INTERRUPTED)
    if refused is not None:
        raise refused


def _say(text: str) -> None:
    """Print, unless nobody reads any more."""
    try:
        click.echo(text)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except OSError as error:
        raise NotWritten(f"the output cannot be printed; {error.strerror}.") from None
