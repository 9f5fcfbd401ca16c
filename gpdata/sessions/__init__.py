"""Spark sessions by named preset: the only place that imports pyspark, beside `gpdata.engines.spark`."""

from gpdata.sessions.cluster_shown import spark_settings
from gpdata.sessions.doctor import doctor
from gpdata.sessions.session import conf_directory, spark, stop

__all__ = ["conf_directory", "doctor", "spark", "spark_settings", "stop"]
