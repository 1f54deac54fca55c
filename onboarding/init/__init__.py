"""A data file → a recipe that says why: files → reading → profile → inference → draft."""
