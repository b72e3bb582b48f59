"""Exporters: each takes finished lifetimes somewhere."""
