"""One module per family of commands. Each takes arguments, calls its room, prints the answer."""
