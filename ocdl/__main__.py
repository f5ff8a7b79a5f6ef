"""``python -m ocdl``."""

from ocdl.cli import main

main(prog_name="ocdl")
