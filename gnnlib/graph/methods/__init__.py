"""The ways to join objects, one module each: `find(points, spec) -> Neighbors`. `gnnlib.graph.neighbors` lists them."""
