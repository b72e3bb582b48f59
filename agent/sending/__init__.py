"""From the ring to where it is looked at: spans and metrics leave the process here.

    ring -> pipeline (when) -> sender (the thread) -> destinations -> an exporter
    counters -> metrics (when) -> metering, scraping (a thread each) -> an exporter

What an exporter is: `exporting`.
"""
