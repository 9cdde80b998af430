"""What is learned, one task a file. See ``humfind.training.loop.Task``."""
