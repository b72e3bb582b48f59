"""OTLP in, over HTTP and gRPC: what is right is kept before it is answered, the rest is refused."""
