"""Catalog -> graph: exact neighbours, edge features and what the graph looks like in numbers."""

from gnnlib.graph.build import build_graph
from gnnlib.graph.diagnostics import RadiusRange, RadiusSweep, suggest_radius_range, summarize
from gnnlib.graph.features import edge_features
from gnnlib.graph.graph import EdgeFeature, Graph, GraphSpec
from gnnlib.graph.neighbors import METHODS, Neighbors, find
from gnnlib.graph.partition import Part, build_parts, partition

__all__ = [
    "METHODS",
    "EdgeFeature",
    "Graph",
    "GraphSpec",
    "Neighbors",
    "Part",
    "RadiusRange",
    "RadiusSweep",
    "build_graph",
    "build_parts",
    "edge_features",
    "find",
    "partition",
    "suggest_radius_range",
    "summarize",
]
