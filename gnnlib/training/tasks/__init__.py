"""What can be predicted besides a number of each node: classes of nodes, pairs that belong together, whole graphs."""
