"""What must hold however the program is treated: attacks, kills, the same bytes."""
