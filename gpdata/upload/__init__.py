"""Recording: what a running GP system hands to gpdata."""

from gpdata.upload.recorder import Recorder, seeded_uuids

__all__ = ["Recorder", "seeded_uuids"]
