"""A local dashboard: takes OTLP from any program, keeps it in SQLite, and shows it on one page.

A process of its own, on the loopback interface alone.  What it is made of:

- `receiving`, `grpc_receiver`: OTLP over HTTP and gRPC; `decoding` makes messages of bytes.
- `writer`: the one thread that writes; `intake` is what it makes of messages.
- `database`: the file, its tables, its limit of size.
- `queries`: what the page asks, one file a view; `api` is the table of views and their JSON.
- `page`: the static files, `live_updates` the stream of what has changed.
"""
