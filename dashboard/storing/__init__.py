"""What is kept: an SQLite file, and the one thread that writes to it."""
