"""What turns and queues say to each other; what a store has to know."""
