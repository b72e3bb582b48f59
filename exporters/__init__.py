"""What takes the finished lifetimes somewhere.

An exporter is a class without arguments, named in `whence.sending.exporting.EXPORTERS` or by
another distribution with an entry point in the group `whence.exporters`:

    class MyExporter:
        label = "my server at http://..."        # what the user calls the destination

        def start(self, settings): ...           # once, before the first batch
        def export(self, batch, timeout): ...    # again and again; gives a Taken
        def stop(self, timeout): ...             # once, at the end

The rules:

- All three are called in the sender thread, and there the module is imported: it may import what
  it likes, and block; no two threads ever call it.
- `batch` is a sequence of `whence.engine.SpanLifetime`.  It may be empty, which is only a chance to
  do what was put off.  Afterwards it is emptied: who keeps lifetimes has a list of its own.
  `whence.exporters.spans.span_maker(settings).spans_of(batch)` makes spans of those that are
  sampled, `whence.exporters.readable` makes OpenTelemetry's of them.
- `export` returns `whence.sending.exporting.Taken`: how many spans arrived, and how many were not
  sampled.  What did not arrive it says by raising `ExportError`, with the line for the user as
  text; then the destination is left alone for a while, or for as long as the error says.  It tries
  once: it never stays to try again.
- It may keep what did not arrive, in bounds, for the next time it is called; then `Taken` says how
  many spans wait.  While the destination is left alone, batches go to its method `keep(batch)`,
  which gives a `Taken` as well; without one they are dropped.
- `timeout` is None while the program runs: the exporter's own applies.  At the end of the process
  it is what is left, in seconds.
- `start` raises `CannotExport`, with the line for the user, if what it was told can never work.
- It may have a method `check(timeout)`: whether the destination would take spans.  It sends none,
  leaves nothing behind, and raises `ExportError` if not; `whence doctor` calls it.
- It may have a method `is_sampled(trace)`: whether its sampler wants a `whence.engine.Trace`, which
  it decides once.  Of what nobody wants, `max_rate` takes no account.
- In a forked child there is a new exporter.  The parent's may have a method `abandon()`, which is
  called there: to let go, in silence, of what belongs to the parent.
"""
