"""As in Rasa."""
