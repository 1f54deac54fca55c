"""Whether this machine can train and serve: what is there, what is missing, what to do."""
