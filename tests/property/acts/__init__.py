"""What random programs do.  Each act is one thing, in the program's own words; `do` does it."""
