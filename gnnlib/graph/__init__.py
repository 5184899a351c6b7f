"""Catalog -> graph: exact neighbours, edge features and what the graph looks like in numbers."""

from gnnlib.graph.build import build_graph
from gnnlib.graph.diagnostics import degree_histogram, summarize
from gnnlib.graph.features import edge_features
from gnnlib.graph.graph import EdgeFeature, Graph, GraphSpec
from gnnlib.graph.neighbors import Neighbors, find

__all__ = [
    "EdgeFeature",
    "Graph",
    "GraphSpec",
    "Neighbors",
    "build_graph",
    "degree_histogram",
    "edge_features",
    "find",
    "summarize",
]
