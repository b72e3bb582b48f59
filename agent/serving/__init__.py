"""The socket of an attached process, by which the terminal asks it what it is doing.

    server.py   when it is there          asking.py    who asks: `whence ps` and the like
    listener.py the socket                processes.py finds the processes that can be asked
    answers.py  what can be asked         protocol.py  what both sides agree on

In the program nothing but `server` is imported before its first loop runs.
"""
