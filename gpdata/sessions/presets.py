"""The settings of each kind of Spark session: frozen data, copied when a session is made.

What only the place can say (a master, an address, an image, a secret) is added by `gpdata.sessions.cluster`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Executors come as jobs need them and go when they are idle; what they hold for others does not keep them for ever.
_ELASTIC = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.timeout": "30min",
    "spark.dynamicAllocation.executorIdleTimeout": "60s",
    "spark.dynamicAllocation.cachedExecutorIdleTimeout": "60min",
    "spark.dynamicAllocation.minExecutors": "0",
}

# A size fits the nodes that clouds rent: of 4 cores and 16 GB (two small executors), of 8 and 32 (one large).
_SMALL = {
    "spark.driver.memory": "2g",
    "spark.executor.cores": "2",
    "spark.executor.memory": "4g",
    "spark.dynamicAllocation.maxExecutors": "4",
}
_LARGE = {
    "spark.driver.memory": "4g",
    "spark.executor.cores": "4",
    "spark.executor.memory": "14g",
    "spark.dynamicAllocation.maxExecutors": "16",
}

_KUBERNETES = {
    "spark.submit.deployMode": "client",
    # A network policy lets these three through and no other: the driver's two, and the executors' own.
    "spark.driver.port": "7078",
    "spark.driver.blockManager.port": "7079",
    "spark.blockManager.port": "7080",
    # Another port than these would be closed: rather say at once that one is taken.
    "spark.port.maxRetries": "0",
    # Spark makes a secret for each session and hands it to its executors.
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    # A cheap node goes with a notice: its executor hands on what it holds.
    "spark.decommission.enabled": "true",
    "spark.storage.decommission.enabled": "true",
    "spark.storage.decommission.rddBlocks.enabled": "true",
    "spark.storage.decommission.shuffleBlocks.enabled": "true",
    # Python beside the JVM of an executor needs room of its own.
    "spark.executor.memoryOverheadFactor": "0.4",
    "spark.kubernetes.allocation.batch.size": "5",
    "spark.kubernetes.executor.deleteOnTermination": "true",
    # A pod that is gone says nothing: work goes on without it after this, not after Spark's two minutes.
    "spark.network.timeout": "60s",
    # Of the cluster's objects, a user may make pods and configmaps, and nothing else.
    "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
    "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
}

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        name: MappingProxyType(settings)
        for name, settings in {
            "local": {
                "spark.master": "local[*]",
                "spark.driver.memory": "4g",
                # Both: with an address bound but no host named, a large toPandas waits for a name nobody knows.
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                # One machine: four partitions a core would be mostly scheduling.
                "spark.sql.shuffle.partitions": "8",
            },
            # Of the server that is started where none is named; 1g, the default, is too little for it.
            "connect": {
                "spark.master": "local[*]",
                "spark.driver.memory": "4g",
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.connect.grpc.binding.address": "127.0.0.1",
                "spark.sql.shuffle.partitions": "8",
            },
            # An executor that any worker can hold; `small` and `large` ask for more.
            "standalone": {
                **_ELASTIC,
                "spark.driver.memory": "2g",
                "spark.executor.cores": "2",
                "spark.executor.memory": "2g",
            },
            "small": {**_ELASTIC, **_SMALL},
            "large": {**_ELASTIC, **_LARGE},
            # A node's own daemons take some of its 4 cores; two executors have to fit beside them.
            "k8s-small": {
                **_ELASTIC,
                **_KUBERNETES,
                **_SMALL,
                "spark.kubernetes.executor.request.cores": "1800m",
            },
            "k8s-large": {**_ELASTIC, **_KUBERNETES, **_LARGE},
        }.items()
    }
)
"""What each preset adds to spark-conf/spark-defaults.conf."""
