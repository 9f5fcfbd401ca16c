"""The explorer: an application in the notebook, and as a page, that asks a lake by clicking.

The only place that imports ipywidgets or anywidget.
"""

from gpdata.widgets.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
