"""Spark sessions by named preset: the only place that imports pyspark, beside `gpdata.engines.spark`."""

from gpdata.sessions.session import conf_directory, spark

__all__ = ["conf_directory", "spark"]
