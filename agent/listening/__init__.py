"""`whence.on_trace`: finished traces, given to the program itself.

sender -> gathering (spans into traces) -> finished_traces (what a trace is) -> trace_listener
"""
