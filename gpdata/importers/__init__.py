"""Importers: files that a lab has, into its lake."""

from gpdata.importers.streams import Progress, find_streams, import_paths

__all__ = ["Progress", "find_streams", "import_paths"]
