"""A progress bar that presses Ctrl-C, for every route's tests of being interrupted."""

from __future__ import annotations

import os
import signal


class PressesCtrlC:
    """Stands for ``progress_bar``; sends SIGINT at update number ``at``."""

    at, disable = 3, False

    def __init__(self, *_, **__):
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self):
        self.seen += 1
        if self.seen == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def set_postfix_str(self, *_, **__):
        pass


class PressesCtrlCLater(PressesCtrlC):
    at = 5
