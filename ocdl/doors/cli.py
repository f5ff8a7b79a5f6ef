"""The command line: ``ocdl solve``, ``ocdl compare``, ``ocdl sweep`` and ``ocdl show``.

Exit codes: 0 solved; 1 a method ended without the answer asked for (its last iterate is kept); 2 the input breaks a
rule or a route cannot take the problem; 130 interrupted (the best iterate is kept).

What the commands do is in ``commands``, which they load when they run: to ask for help needs none of it.
"""

from __future__ import annotations

import codecs
import functools
import io
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from ocdl.doors.exit_codes import INTERRUPTED, REFUSED
from ocdl.errors import OcdlError

PLAIN = str.maketrans({"−": "-", "–": "-", "─": "-", "≤": "<=", "≥": ">=", "∞": "inf", "→": "->", "…": "...", "×": "x"})


def plain(error: UnicodeError) -> tuple[str, int]:
    """What a terminal cannot print, in characters that every terminal can."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(PLAIN)
    return text.encode("ascii", "replace").decode(), error.end


codecs.register_error("ocdl.plain", plain)


class Refusal(click.ClickException):
    """An error in what the user asked for: its message on stderr, no traceback."""

    exit_code = REFUSED


def refusing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Every OcdlError becomes a message and exit code 2, Ctrl-C exit code 130."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except OcdlError as error:
            raise Refusal(str(error)) from None
        except KeyboardInterrupt:
            click.echo("Interrupted before there was an iterate to keep.", err=True)
            click.get_current_context().exit(INTERRUPTED)

    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("ocdl"), prog_name="ocdl")
def main() -> None:
    """Training a deep network is an optimal control problem: one definition, three routes, one comparison."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="ocdl.plain")


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        [
            click.argument("file", type=click.Path(path_type=Path)),
            click.option("--out", metavar="DIR", help="Write netCDF, PNG and JSON there."),
            click.option("--seed", type=int, help="Start from random controls."),
            click.option("--start", metavar="FILE.nc", help="Start from a saved solution."),
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of problem()."),
            click.option("--progress/--quiet", default=None, help="Show progress (by default on a terminal)."),
        ]
    ):
        command = option(command)
    return command


@main.command("solve")
@common_options
@click.option("--method", "name", required=True, help="The route, e.g. ipopt or needle-steps.")
@refusing
def solve_command(**asked: Any) -> None:
    """Solve the problem in FILE by one method."""
    from ocdl.doors import commands

    commands.solve_file(**asked)


@main.command("compare")
@common_options
@click.option("--method", "names", multiple=True, help="A route; repeat for several. By default the file's methods().")
@refusing
def compare_command(**asked: Any) -> None:
    """Solve the problem in FILE by several methods and compare the answers."""
    from ocdl.doors import commands

    commands.compare_file(**asked)


@main.command("sweep")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--method", "names", multiple=True, required=True, help="A route; repeat for several.")
@click.option("--out", metavar="DIR", required=True, help="Keep each result there; given again, go on from there.")
@click.option("--seeds", metavar="0:20", help="Start from random controls, once for each seed, e.g. 0:20 or 1,5,9.")
@click.option("--vary", multiple=True, metavar="KEY=V1,V2", help="Values of a parameter of problem(); repeat for more.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter of problem(), the same in all."
)
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--attempts", default=3, show_default=True, help="Give a task up after so many deaths of its worker.")
@click.option("--retry-failed", is_flag=True, help="Do again what failed before.")
@click.option("--progress/--quiet", default=None, help="Show progress (by default on a terminal).")
@refusing
def sweep_command(**asked: Any) -> None:
    """Solve the problem in FILE many times, for random starts and combinations of its parameters."""
    from ocdl.doors import commands

    commands.sweep_file(**asked)


@main.command("show")
@click.argument("file", metavar="FILE.nc")
@click.option("--out", metavar="FIGURE", help="Draw it there (.png, .pdf or .svg).")
@refusing
def show_command(**asked: Any) -> None:
    """Print a saved solution."""
    from ocdl.doors import commands

    commands.show_file(**asked)
