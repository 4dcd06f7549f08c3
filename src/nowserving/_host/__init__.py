"""What the process is made of: its clock, its event loops, its forks."""
