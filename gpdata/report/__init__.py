"""The standard report of a lake: one HTML page that needs nothing beside itself."""

from gpdata.report.page import write_report

__all__ = ["write_report"]
