"""`whence top`: a running process, watched in the terminal, full screen.

the process's socket -> readings.py, what two answers make -> rows.py, text -> app.py, the screen
"""
