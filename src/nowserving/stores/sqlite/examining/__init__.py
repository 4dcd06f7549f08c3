"""What an SQLite store stands on, found out by trying: each file looks at one thing."""
