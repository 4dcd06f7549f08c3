"""What stores behind a connection share."""
