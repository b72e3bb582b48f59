"""The commands of `whence`, a file each; the command line finds them (`whence.cli`)."""
