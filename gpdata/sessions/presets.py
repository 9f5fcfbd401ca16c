"""The settings of each kind of Spark session: frozen data, copied when a session is made."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "local": MappingProxyType(
            {
                "spark.master": "local[*]",
                "spark.driver.memory": "4g",
                # Both: with an address bound but no host named, a large toPandas waits for a name nobody knows.
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                # One machine: four partitions a core would be mostly scheduling.
                "spark.sql.shuffle.partitions": "8",
            }
        ),
    }
)
"""What each preset adds to spark-conf/spark-defaults.conf."""
