"""What whence costs: six programs measured without it, and in each state that it can be in."""
