"""The Python client of Lookalike, which finds products by how they look.

    from lookalike import Client, where

    with Client("http://127.0.0.1:8080") as client:
        shop = client.catalog("shop")
        for neighbor in shop.neighbors("SKU-17", filter=where("color") == "red"):
            print(neighbor.product_id, neighbor.score)

`AsyncClient` has the same methods to be awaited. Importing this imports neither numpy nor anything of a service.
"""

from lookalike.aio import AsyncClient as AsyncClient
from lookalike.aio_catalog import AsyncCatalog as AsyncCatalog
from lookalike.catalog import Catalog as Catalog
from lookalike.changes import Change as Change
from lookalike.changes import Delete as Delete
from lookalike.changes import Patch as Patch
from lookalike.changes import Put as Put
from lookalike.client import Client as Client
from lookalike.errors import Busy as Busy
from lookalike.errors import ChangeFailed as ChangeFailed
from lookalike.errors import Conflict as Conflict
from lookalike.errors import Forbidden as Forbidden
from lookalike.errors import InvalidRequest as InvalidRequest
from lookalike.errors import LookalikeError as LookalikeError
from lookalike.errors import NotFound as NotFound
from lookalike.errors import ServiceError as ServiceError
from lookalike.errors import Unanswered as Unanswered
from lookalike.errors import Unauthorized as Unauthorized
from lookalike.errors import Unavailable as Unavailable
from lookalike.filters import Filter as Filter
from lookalike.filters import ids as ids
from lookalike.filters import where as where
from lookalike.jobs import Failure as Failure
from lookalike.jobs import Progress as Progress
from lookalike.jobs import Sent as Sent
from lookalike.records import Answer as Answer
from lookalike.records import CatalogInfo as CatalogInfo
from lookalike.records import Facets as Facets
from lookalike.records import Image as Image
from lookalike.records import Item as Item
from lookalike.records import Job as Job
from lookalike.records import Neighbor as Neighbor
from lookalike.records import Product as Product
from lookalike.terms import Term as Term
from lookalike.terms import direction as direction
from lookalike.terms import picture as picture
from lookalike.terms import product as product
from lookalike.terms import vector as vector
