"""Where bytes lie: a directory of this machine, or a prefix of a bucket in an S3-compatible store.

`as_place` makes either of what a person typed. What is above here takes a `Place` and calls what `pathlib` and
`ObjectPath` have in common; what changes anything goes through a `gpdata.spool.Disk`. `lease` has locks that are
objects, `reading` what Arrow, delta-rs and Polars read with.
"""

from gpdata.storage.hdfs import HdfsPath, in_hdfs
from gpdata.storage.place import ObjectPath, Place, as_place, fresh, listed, local

__all__ = ["HdfsPath", "ObjectPath", "Place", "as_place", "fresh", "in_hdfs", "listed", "local"]
