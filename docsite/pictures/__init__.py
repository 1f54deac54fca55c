"""The pictures of the README and of docs/, each made by a command: `make pictures` makes all."""
