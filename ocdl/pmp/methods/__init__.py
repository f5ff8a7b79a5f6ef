"""Methods: one file each, an update and its moves in the loop."""
