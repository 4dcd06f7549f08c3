"""A stay in line, from taking a ticket to leaving."""
