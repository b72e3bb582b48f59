"""Where did this asynchronous work come from? Async hooks and tracing for asyncio programs."""
