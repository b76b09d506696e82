"""An engine for vqdoctor that counts on a Ray cluster: workers read, encode and count; what they leave behind is put together here.

`measure_rows` is the engine, behind ``--engine ray``. `kmeans` fits centres to more rows than one process would go over.
"""

from vqdoctor_ray.cluster import ClusterError
from vqdoctor_ray.clustering import Fitted, kmeans
from vqdoctor_ray.counting import measure_rows

__all__ = ["ClusterError", "Fitted", "kmeans", "measure_rows"]
