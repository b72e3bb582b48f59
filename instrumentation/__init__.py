"""Patches: each file knows one library and turns its life into events."""
