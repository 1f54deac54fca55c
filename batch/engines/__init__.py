"""What answers the blocks of a plan: this process, or workers on Ray."""
