"""Catalog -> graph: exact neighbours, edge features and what the graph looks like in numbers."""

from gnnlib.graph.build import build_graph
from gnnlib.graph.diagnostics import RadiusRange, RadiusSweep, degree_histogram, suggest_radius_range, summarize
from gnnlib.graph.features import edge_features
from gnnlib.graph.graph import EdgeFeature, Graph, GraphSpec
from gnnlib.graph.neighbors import Neighbors, find

__all__ = [
    "EdgeFeature",
    "Graph",
    "GraphSpec",
    "Neighbors",
    "RadiusRange",
    "RadiusSweep",
    "build_graph",
    "degree_histogram",
    "edge_features",
    "find",
    "suggest_radius_range",
    "summarize",
]
