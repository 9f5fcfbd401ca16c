"""Lineage for other tools: networkx graphs, GraphML, DOT, and phylogenies in the ALife standard."""

from gpdata.exports.dot import write_dot
from gpdata.exports.graph import to_networkx, write_graphml
from gpdata.exports.phylogenies import to_phylogeny, write_phylogeny

__all__ = ["to_networkx", "to_phylogeny", "write_dot", "write_graphml", "write_phylogeny"]
