"""What the user wants: options, variables, pyproject.toml, read in one order into one `Settings`.

options (the table) + values (how each is read) -> arguments | environment | project -> config
"""
