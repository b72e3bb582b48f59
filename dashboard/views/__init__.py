"""What the page asks: one file for each view, each a function from a connection to its JSON."""
