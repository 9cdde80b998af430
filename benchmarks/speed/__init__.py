"""How long each stage takes, beside what a user would pick instead, and how much memory."""
