"""The README's programs and commands give the output it shows."""

import contextlib
import io
import re
from pathlib import Path

from click.testing import CliRunner

from ocdl.doors.cli import main

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def without_times(text):
    """The text with the time column cut, white space and rules folded."""
    return " ".join(re.sub(r"─+", "─", re.sub(r"[\d.]+ s\b", "", text)).split())


def same(shown, printed):
    """Equal words; equal numbers to what is shown, those at the level of tolerances (below 1e-7) only as such."""
    shown, printed = without_times(shown), without_times(printed)
    assert NUMBER.sub("#", shown) == NUMBER.sub("#", printed)
    for a, b in zip(map(float, NUMBER.findall(shown)), map(float, NUMBER.findall(printed)), strict=True):
        assert max(abs(a), abs(b)) < 1e-7 or abs(a - b) <= (1e-5 if abs(a) > 1e-3 else 0.2) * abs(a), (a, b)


def test_the_twenty_line_example_prints_what_is_shown():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("python")[0], "README.md", "exec"), {})
    same(blocks("text")[1], printed.getvalue())
    assert len(blocks("python")[0].splitlines()) <= 20


def test_the_control_problem_prints_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed, named = io.StringIO(), {}
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("python")[1], "README.md", "exec"), named)
    same(blocks("text")[2], printed.getvalue())
    assert (tmp_path / "run.nc").is_file()
    same(blocks("text")[3], str(named["refinement"].solution.summary()))


def test_the_main_job_prints_what_is_shown(monkeypatch):
    monkeypatch.chdir(ROOT)
    command = next(line for line in README.splitlines() if "ocdl compare" in line and "pip" in line)
    arguments = command.split("&& ocdl ")[1].split("#")[0].split()
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    same(blocks("text")[0], result.output)
