"""Pictures of the theory, a file each; all draw on given axes. They know analysis and what is below it."""
