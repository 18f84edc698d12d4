"""A shop that uses the client which openapi-python-client generates. Prints what it saw, as JSON.

python scenario.py URL PICTURES CATALOG
"""

import io
import json
import sys
import time
import urllib.request
from typing import Any, TypeVar

from generated import Client, models
from generated.api.catalogs import put_catalog
from generated.api.jobs import get_job, list_jobs
from generated.api.products import count_facets, delete_product, feed_products, get_product, list_products, put_product
from generated.api.search import get_neighbors, query, search
from generated.types import File

Answer = TypeVar("Answer")
URL, PICTURES, CATALOG = sys.argv[1:]
SECONDS = 400.0

client = Client(base_url=URL, raise_on_unexpected_status=True, timeout=120.0)


def of(kind: type[Answer], answer: object) -> Answer:
    assert isinstance(answer, kind), answer
    return answer


def picture(number: int) -> str:
    return f"{PICTURES}/{number}.png"


def attributes(**values: Any) -> models.Attributes:
    return models.Attributes.from_dict(values)


def ended(job: models.Job) -> models.Job:
    """The job when it has ended."""
    until = time.monotonic() + SECONDS
    while job.finished_at is None and time.monotonic() < until:
        time.sleep(0.2)
        job = of(models.Job, get_job.sync(job.id, client=client))
    return job


def ids(found: models.Neighbors | models.Answers) -> list[str]:
    return sorted(each.product_id for each in found.neighbors)


saw: dict[str, Any] = {}

catalog = models.NewCatalog.from_dict(
    {"encoder": "efficientnet_lite0", "indexed_attributes": {"color": "keyword", "price": "float"}}
)
saw["catalog"] = of(models.DeclaredCatalog, put_catalog.sync(CATALOG, client=client, body=catalog)).name

# Put: a file in a form, and a URL as JSON.
with urllib.request.urlopen(picture(1)) as answer:
    file = File(io.BytesIO(answer.read()), "1.png", "image/png")
form = models.NewProductForm(image=file, attributes=attributes(color="red", price=10, size={"width": 3}))
put = put_product.sync(CATALOG, "red/1", client=client, body=form, wait=30)
saw["put"] = ended(of(models.Job, put)).applied
by_url = models.NewProductOfUrl(image_url=picture(2), attributes=attributes(color="red", price=20))
put = put_product.sync(CATALOG, "red/2", client=client, body=by_url, wait=30)
saw["put_by_url"] = ended(of(models.Job, put)).applied
product = of(models.Product, get_product.sync(CATALOG, "red/1", client=client))
saw["attributes"] = product.attributes.to_dict()

# Feed: puts and a patch.
changes = [
    models.Change(product_id=f"blue/{number}", image_url=picture(number), attributes=attributes(color="blue"))
    for number in (3, 4)
]
changes.append(models.Change(product_id="red/2", op=models.ChangeOp.PATCH, attributes=attributes(price=30)))
changes.append(models.Change(product_id="gone", image_url=f"{PICTURES}/none.png"))
job = ended(of(models.Job, feed_products.sync(CATALOG, client=client, body=changes)))
saw["fed"] = [str(job.state), job.total, job.applied, job.failed, job.errors]

# Search with nothing but defaults, with a filter, in the URL, and for several things at once.
red = models.MatchCondition(key="color", match=models.MatchValue(value="red"))
cheap = models.RangeCondition(key="price", range_=models.Range(lt=25))
no_price = models.EmptyCondition(is_empty=models.EmptyAttribute(key="price"))
everything = models.Search(product_id="red/1")
saw["search"] = ids(of(models.Neighbors, search.sync(CATALOG, client=client, body=everything)))
filtered = models.Search(product_id="blue/3", limit=3, filter_=models.Filter(must=[red, models.Filter(should=cheap)]))
saw["filtered"] = ids(of(models.Neighbors, search.sync(CATALOG, client=client, body=filtered)))
saw["url"] = ids(of(models.Neighbors, search.sync(CATALOG, client=client, body=everything, limit=2, offset=1)))
text = json.dumps(models.Filter(must_not=red).to_dict())
saw["neighbors"] = ids(of(models.Neighbors, get_neighbors.sync(CATALOG, "red/1", client=client, filter_=text)))
asked = models.Query(
    near=[models.Term(product_id="red/1"), models.Term(product_id="blue/3", weight=-0.5)],
    filter_=models.Filter(must=no_price),
)
saw["query"] = ids(of(models.Answers, query.sync(CATALOG, client=client, body=asked)))

# Facets, and a list page by page.
question = models.FacetsQuestion(attributes=["color", "price"])
colors, prices = of(models.Facets, count_facets.sync(CATALOG, client=client, body=question)).facets
saw["colors"] = [[each.value, each.count] for each in colors.values or []]
saw["prices"] = [prices.numbers.min_, prices.numbers.max_] if prices.numbers else None
listed: list[str] = []
page = of(models.Products, list_products.sync(CATALOG, client=client, limit=3))
while True:
    listed += [each.product_id for each in page.products]
    if page.next_ is None:
        break
    page = of(models.Products, list_products.sync(CATALOG, client=client, limit=3, cursor=page.next_))
saw["listed"] = sorted(listed)

# Delete, and what is then said of the product.
gone = of(models.Job, delete_product.sync(CATALOG, "red/1", client=client, wait=30))
saw["deleted"] = ended(gone).applied
problem = of(models.Problem, get_product.sync(CATALOG, "red/1", client=client))
saw["problem"] = [problem.status, problem.code, problem.type_]
jobs = of(models.Jobs, list_jobs.sync(client=client, catalog=CATALOG)).jobs
saw["jobs"] = len(jobs)

sys.stdout.write(json.dumps(saw))
