"""An engine for vqdoctor that works on a Ray cluster: workers read, encode and count; what they leave behind is put together here.

`engine` is what ``--engine ray`` names. `kmeans` fits centres to more rows than one process would go over.
"""

from vqdoctor_ray.cluster import ClusterError
from vqdoctor_ray.clustering import Fitted, kmeans
from vqdoctor_ray.coding import encode_rows
from vqdoctor_ray.counting import measure_rows


class RayEngine:
    """Counts rows when it is called, and encodes them: see :class:`vqdoctor.engines.Engine`."""

    __call__ = staticmethod(measure_rows)
    encode = staticmethod(encode_rows)


engine = RayEngine()

__all__ = ["ClusterError", "Fitted", "encode_rows", "engine", "kmeans", "measure_rows"]
