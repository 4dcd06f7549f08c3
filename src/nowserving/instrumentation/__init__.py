"""What is told of turns and tickets to those who run them."""
