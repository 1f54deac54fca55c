"""The first minutes: a recipe from a data file (`init`), and whether this machine can train and serve (`doctor`)."""
