"""``python -m ocdl``."""

from ocdl.doors.cli import main

main(prog_name="ocdl")
