"""Spans in OTLP: settings, encodings, transports, and the exporter that puts them together."""
