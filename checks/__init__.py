"""A look at a recipe's rows before any training: what is probably wrong with them, row by row."""
