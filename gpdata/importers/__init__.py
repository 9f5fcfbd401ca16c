"""Importers: files that a lab has, into its lake."""

from gpdata.importers.archives import Imported, Progress, check_arguments, import_archives
from gpdata.importers.finding import find_files
from gpdata.importers.formats import FORMATS, lacks, said_lacks
from gpdata.importers.streams import find_streams, import_paths

__all__ = [
    "FORMATS",
    "Imported",
    "Progress",
    "check_arguments",
    "find_files",
    "find_streams",
    "import_archives",
    "import_paths",
    "lacks",
    "said_lacks",
]
