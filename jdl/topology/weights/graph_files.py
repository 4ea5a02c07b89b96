"""Graphs in the formats that networkx reads: GraphML, GML, GEXF, Pajek, and networkx' own JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["read_graph"]


def read_graph(text: str) -> nx.Graph | None:
    """The graph in `text`, whose beginning decides the format; None if it matches no format.

    Nodes whose names are integers keep these numbers as names. Nodes of a GML file are named by their labels, or
    otherwise by their ids.

    Raises:
      ValueError: if the text begins like one of the formats but cannot be read.
    """
    start = text.lstrip("\ufeff \t\r\n")[:2000].lower()
    if start.startswith("<"):
        graph = _xml(text, start)
    elif start.startswith("{"):
        graph = _json(text)
    elif start.startswith(("graph", "creator", "comment")) and "[" in text:
        graph = _gml(text)
    elif start.startswith("*vertices") or start.startswith("*network"):
        graph = _pajek(text)
    else:
        return None
    import networkx as nx

    numbers = {name: int(name) for name in graph if isinstance(name, str) and name.isdecimal()}
    return nx.relabel_nodes(graph, numbers)


def _xml(text: str, start: str) -> nx.Graph:
    import networkx as nx

    read = nx.read_gexf if "<gexf" in start else nx.read_graphml
    try:
        return read(io.BytesIO(text.encode()))
    except nx.NetworkXError as error:
        raise ValueError(error) from error


def _gml(text: str) -> nx.Graph:
    import networkx as nx

    try:
        try:
            return nx.parse_gml(text)
        except nx.NetworkXError:  # labels are missing or not unique
            return nx.parse_gml(text, label="id")
    except nx.NetworkXError as error:
        raise ValueError(error) from error


def _json(text: str) -> nx.Graph:
    import networkx as nx

    content = json.loads(text)
    try:
        if "adjacency" in content:
            return nx.adjacency_graph(content)
        return nx.node_link_graph(content, edges="links" if "links" in content else "edges")
    except (KeyError, TypeError, nx.NetworkXError) as error:
        raise ValueError(f"no node-link or adjacency data as networkx writes them, {error!r}") from error


def _pajek(text: str) -> nx.Graph:
    import networkx as nx

    try:
        graph = nx.parse_pajek(text)
    except nx.NetworkXError as error:
        raise ValueError(error) from error
    return nx.DiGraph(graph) if graph.is_directed() else nx.Graph(graph)
