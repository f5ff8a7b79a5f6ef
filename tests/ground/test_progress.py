"""Progress bars: seen on a terminal or when asked, and never in the way."""

import sys

import pytest

from ocdl.progress import progress_bar


class Terminal:
    """Stands for stderr on a terminal."""

    def __init__(self):
        self.shown = ""

    def isatty(self):
        return True

    def write(self, text):
        self.shown += text

    def flush(self):
        pass


def run(progress):
    with progress_bar("solving", 3, progress=progress) as bar:
        bar.set_description("solved")
        bar.set_postfix_str("cost 1", refresh=False)
        bar.update()
        bar.update(2)
        return not bar.disable


@pytest.mark.parametrize(("progress", "seen"), [(None, True), (True, True), (False, False)])
def test_on_a_terminal_the_bar_is_seen_unless_it_is_not_asked_for(monkeypatch, progress, seen):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run(progress) is seen and ("solved" in sys.stderr.shown) is seen


@pytest.mark.parametrize(("progress", "seen"), [(None, False), (True, True), (False, False)])
def test_elsewhere_it_is_seen_only_when_asked_for(capsys, progress, seen):
    assert run(progress) is seen and ("solved" in capsys.readouterr().err) is seen


def test_a_process_without_stderr_has_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert not run(None)
