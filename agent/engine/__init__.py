"""What runs for every event."""
