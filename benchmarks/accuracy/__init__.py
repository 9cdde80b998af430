"""How often the right song is found, on open suites and simulated hums."""
