"""What must hold however the program is treated: ``python -m benchmarks.reliability attack``."""
