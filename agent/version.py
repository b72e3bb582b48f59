"""The version, in the one place that both the build and the running agent read."""

VERSION = "0.1.0"
