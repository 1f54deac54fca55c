"""What can be wrong with rows, a file a kind."""
