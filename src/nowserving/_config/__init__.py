"""From what somebody wrote to checked settings."""
