"""Many texts, answered from files to files: in one process, or on Ray."""
