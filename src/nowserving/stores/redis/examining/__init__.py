"""What a Redis store stands on, found out by trying: each file looks at one thing."""
