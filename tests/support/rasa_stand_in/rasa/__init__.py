"""A stand-in for Rasa: what its lock stores show to others, in our own words, and no more."""
