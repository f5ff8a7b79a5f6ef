"""What the doors write: a solution in words, and results as files that are never half written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ocdl.comparison.compare import Comparison, finite_only
from ocdl.doors.plot import FIGURE_FORMATS, plot_comparison, plot_solution
from ocdl.errors import InvalidInput, NotWritten
from ocdl.files import whole_file
from ocdl.referee.certificate import Certificate
from ocdl.referee.certify import FIRST_ORDER, LOCAL
from ocdl.referee.solution import Solution

NOTEWORTHY = 1e-6  # a smaller violation between the nodes is not worth a line


def solution_text(solution: Solution) -> str:
    """A solution in a dozen lines: how it ended, the referee's verdict, what the route claims, the arrays."""
    lines = [
        f"{solution.method}: {solution.status.value}",
        *([f"  {solution.detail}"] if solution.detail else []),
        *(f"  {note}" for note in solution.notes),
        f"  scheme        {solution.attrs['scheme']}",
        f"  cost J        {solution.cost:.12g}",
        _principle_line(solution),
        f"  infeasibility {solution.feasibility:.1e}",
        *_defect_line(solution),
        f"  time          {solution.seconds:.3g} s{_judged(solution)}",
    ]
    if "cost" in solution.claim:
        lines.append(f"  claimed J     {solution.claim['cost']:.12g}")
    lines += [] if solution.certificate is None else certificate_lines(solution.certificate)
    lines += solution.summary().structure_lines()
    arrays = {"state": solution.state, "costate": solution.costate} | solution.controls | solution.parameters
    lines += [_array_line(name, array) for name, array in arrays.items()]
    return "\n".join(lines)


def _principle_line(solution: Solution) -> str:
    """The gap, and whether min H was sought by a few descents only; or that it was not sought."""
    if solution.search == FIRST_ORDER:
        return "  gap           not sought: a first-order certificate"
    at_least = "" if solution.gap_is_exact else "at least "
    return f"  gap           {at_least}{solution.gap:.3e}{', by descent' if solution.search == LOCAL else ''}"


def _judged(solution: Solution) -> str:
    return "" if math.isnan(solution.referee_seconds) else f", judged in {solution.referee_seconds:.3g} s"


def _defect_line(solution: Solution) -> list[str]:
    """What an answer's own states and costates miss of their equations; nothing for the referee's sweeps."""
    state, costate = (float(abs(array).max()) for array in (solution.state_defect, solution.costate_defect))
    if state == costate == 0.0:
        return []
    worth = f"worth {solution.defect_worth:+.1e} in J" if state else "none"
    return [f"  defects       state {state:.1e} ({worth}), costate {costate:.1e}"]


def solution_summary(solution: Solution) -> dict[str, Any]:
    """The figures of a solution as plain data that strict JSON can hold."""
    plain: dict[str, Any] = finite_only(
        {
            "method": solution.method,
            "status": solution.status.name,
            "message": solution.status.value,
            "detail": solution.detail,
            "cost": solution.cost,
            "gap": solution.gap,
            "gap_is_exact": solution.gap_is_exact,
            "feasibility": solution.feasibility,
            "defect_worth": solution.defect_worth,
            "claimed": solution.claim.get("cost"),
            "seconds": solution.seconds,
            "search": solution.search,
            "referee_seconds": solution.referee_seconds,
            "scheme": str(solution.attrs["scheme"]),
            "notes": solution.notes,
            "certificate": None if solution.certificate is None else asdict(solution.certificate),
        }
    )
    return plain


def certificate_lines(certificate: Certificate) -> list[str]:
    """The certificate in words: the cost in continuous depth, what holds between the nodes, the maximum principle."""
    c = certificate
    skipped = c.skipped or "re-integration is not finite"
    lines = _reintegrated_lines(c) if math.isfinite(c.cost) else [f"  depth         {skipped}"]
    if math.isfinite(c.stationarity):
        lines.append(f"  stationary    to {c.stationarity:.1e}, the projected gradient; a unit step gains {c.gain:.1e}")
    if math.isfinite(c.relative_gap):
        lines.append(f"  gap / |J|     {c.relative_gap:.1e}")
    if math.isfinite(c.hamiltonian_spread):
        offset = f", {c.hamiltonian_offset:+.1e} off its value" if math.isfinite(c.hamiltonian_offset) else ""
        note = f" ({c.hamiltonian_note})" if c.hamiltonian_note else ""
        lines.append(f"  Hamiltonian   constant to {c.hamiltonian_spread:.1e}{offset}{note}")
    else:
        lines.append(f"  Hamiltonian   {c.hamiltonian_note}")
    if math.isfinite(c.agreement):
        lines.append(f"  switching     {_share(c.agreement)} of depth × controls agree with the switching function")
    return lines


def _reintegrated_lines(c: Certificate) -> list[str]:
    side = "above" if c.excess > 0.0 else "below"
    lines = [
        f"  re-integrated {c.cost:.12g} ± {c.error:.0e} in continuous depth; the discrete J lies {abs(c.excess):.1e} "
        f"{side}, x(T) {c.end_error:.1e} off"
    ]
    if c.warning:
        lines.append(f"  {c.warning}")
    if c.open_loop:
        lines.append(f"  {c.open_loop}")
    if c.control_violation > NOTEWORTHY:
        lines.append(
            f"  between nodes a control leaves its box by {c.control_violation:.2g} at t = {c.control_depth:g}"
        )
    if c.constraint_violation > NOTEWORTHY:
        lines.append(
            f"  between nodes {c.constraint}: violated by {c.constraint_violation:.2g} at t = {c.constraint_depth:g}"
        )
    return lines


def _share(part: float) -> str:
    """A percentage that does not round to 100 what is less."""
    return f"{math.floor(1000.0 * part) / 10.0:g} %"


def file_name(method: str) -> str:
    """``Ipopt #2`` → ``ipopt-2``, ``NeedleSteps`` → ``needle-steps``."""
    return re.sub(r"[^a-z0-9]+", "-", kebab(method)).strip("-")


def kebab(name: str) -> str:
    """``NeedleSteps`` → ``needle-steps``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


def made_directory(path: str | Path) -> Path:
    """The directory for results, created where it is missing; InvalidInput where that cannot be."""
    directory = Path(path)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"--out {path}: results need a directory that can be created; {error.strerror}.") from None
    return directory


def write_solution(solution: Solution, directory: Path, **about: Any) -> list[Path]:
    """METHOD.nc, METHOD.json and METHOD.png in ``directory``."""
    name = file_name(solution.method)
    return all_written(
        lambda: write_netcdf(solution, directory / f"{name}.nc"),
        lambda: write_json(about | solution_summary(solution), directory / f"{name}.json"),
        lambda: write_figure(plot_solution(solution), directory / f"{name}.png"),
    )


def write_comparison(comparison: Comparison, directory: Path, **about: Any) -> list[Path]:
    """One METHOD.nc a solution, comparison.json and comparison.png in ``directory``."""
    return all_written(
        *(partial(write_netcdf, s, directory / f"{file_name(name)}.nc") for name, s in comparison.solutions.items()),
        lambda: write_json(about | comparison.summary(), directory / "comparison.json"),
        *(
            [lambda: write_figure(plot_comparison(comparison), directory / "comparison.png")]
            * bool(comparison.solutions)
        ),
    )


def all_written(*writers: Callable[[], Path]) -> list[Path]:
    """Each file in turn, whatever becomes of the others; NotWritten at the end names those that could not be."""
    files, refused = [], []
    for write in writers:
        try:
            files.append(write())
        except (InvalidInput, NotWritten) as error:
            refused.append(str(error))
    if refused:
        raise NotWritten(" ".join(refused) + f" Written: {', '.join(map(str, files)) or 'nothing'}.")
    return files


def write_netcdf(solution: Solution, path: Path) -> Path:
    solution.save(path)
    return path


def write_json(data: dict[str, Any], path: Path) -> Path:
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return _complete(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_figure(figure: Any, path: Path) -> Path:
    """A figure in the format its ending names."""
    ending = path.suffix.lower().lstrip(".")
    if ending not in FIGURE_FORMATS:
        raise InvalidInput(f"{path}: a figure's name ends in one of {', '.join('.' + f for f in FIGURE_FORMATS)}.")
    return _complete(path, lambda temporary: figure.savefig(temporary, format=ending, dpi=150))


def _complete(path: Path, write: Callable[[Path], Any]) -> Path:
    try:
        with whole_file(path) as part:
            write(part)
    except OSError as error:
        raise NotWritten(f"{path}: this file cannot be written; {error.strerror or error}.") from None
    return path


def _array_line(name: str, array: Any) -> str:
    values = np.asarray(array)
    shape = ", ".join(f"{dim} {size}" for dim, size in array.sizes.items())
    extent = f"from {values.min():.6g} to {values.max():.6g}" if values.size else "empty"
    return f"  {name:<13} {extent}  ({shape})"
