// A shop that uses openapi-fetch with the types which openapi-typescript generates. Prints what it saw, as JSON.
//
//     node scenario.ts URL PICTURES CATALOG

import createClient from "openapi-fetch";
import type { components, paths } from "./generated.d.ts";

declare const process: { argv: string[] };

type Schemas = components["schemas"];

const [, , url = "", pictures = "", catalog = ""] = process.argv;
const client = createClient<paths>({ baseUrl: url });
const picture = (number: number) => `${pictures}/${number}.png`;
const of = (product_id: string) => ({ catalog, product_id });

function got<Data>(answer: { data?: Data; error?: unknown }): NonNullable<Data> {
  if (answer.data === undefined || answer.data === null) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

async function ended(job: Schemas["Job"]): Promise<Schemas["Job"]> {
  const until = Date.now() + 400_000;
  while (job.finished_at === null && Date.now() < until) {
    await new Promise((done) => setTimeout(done, 200));
    job = got(await client.GET("/v1/jobs/{job}", { params: { path: { job: job.id } } }));
  }
  return job;
}

const ids = (found: { neighbors: { product_id: string }[] }) => found.neighbors.map((each) => each.product_id).sort();

const saw: Record<string, unknown> = {};

const made = await client.PUT("/v1/catalogs/{catalog}", {
  params: { path: { catalog } },
  body: { encoder: "efficientnet_lite0", indexed_attributes: { color: "keyword", price: "float" } },
});
saw.catalog = got(made).name;

// Put: a file in a form, and a URL as JSON.
const file = await (await fetch(picture(1))).blob();
const formed = await client.PUT("/v1/catalogs/{catalog}/products/{product_id}", {
  params: { path: of("red/1"), query: { wait: 30 } },
  body: { image: "1.png", attributes: { color: "red", price: 10, size: { width: 3 } } },
  bodySerializer: (body) => {
    const form = new FormData();
    form.append("image", file, "1.png");
    form.append("attributes", JSON.stringify(typeof body === "string" ? {} : body.attributes));
    return form;
  },
});
saw.put = (await ended(got(formed))).applied;
const byUrl = await client.PUT("/v1/catalogs/{catalog}/products/{product_id}", {
  params: { path: of("red/2"), query: { wait: 30 } },
  body: { image_url: picture(2), attributes: { color: "red", price: 20 } },
});
saw.put_by_url = (await ended(got(byUrl))).applied;
const product = got(await client.GET("/v1/catalogs/{catalog}/products/{product_id}", { params: { path: of("red/1") } }));
saw.attributes = product.attributes;

// Feed: puts and a patch.
const changes: Schemas["Change"][] = [
  { product_id: "blue/3", image_url: picture(3), attributes: { color: "blue" } },
  { product_id: "blue/4", image_url: picture(4), attributes: { color: "blue" } },
  { product_id: "red/2", op: "patch", attributes: { price: 30 } },
  { product_id: "gone", image_url: `${pictures}/none.png` },
];
const feed = await client.POST("/v1/catalogs/{catalog}/products", { params: { path: { catalog } }, body: changes });
const job = await ended(got(feed));
saw.fed = [job.state, job.total, job.applied, job.failed, job.errors];

// Search with nothing but defaults, with a filter, in the URL, and for several things at once.
const red: Schemas["MatchCondition"] = { key: "color", match: { value: "red" } };
const cheap: Schemas["Filter"] = { should: { key: "price", range: { lt: 25 } } };
const search = async (body: Schemas["Search"], query = {}) =>
  ids(got(await client.POST("/v1/catalogs/{catalog}/search", { params: { path: { catalog }, query }, body })));
saw.search = await search({ product_id: "red/1" });
saw.filtered = await search({ product_id: "blue/3", limit: 3, filter: { must: [red, cheap] } });
saw.url = await search({ product_id: "red/1" }, { limit: 2, offset: 1 });
const neighbors = await client.GET("/v1/catalogs/{catalog}/products/{product_id}/neighbors", {
  params: { path: of("red/1"), query: { filter: JSON.stringify({ must_not: red } satisfies Schemas["Filter"]) } },
});
saw.neighbors = ids(got(neighbors));
const query = await client.POST("/v1/catalogs/{catalog}/query", {
  params: { path: { catalog } },
  body: {
    near: [{ product_id: "red/1" }, { product_id: "blue/3", weight: -0.5 }],
    filter: { must: { is_empty: { key: "price" } } },
  },
});
saw.query = ids(got(query));

// Facets, and a list page by page.
const facets = await client.POST("/v1/catalogs/{catalog}/facets", {
  params: { path: { catalog } },
  body: { attributes: ["color", "price"] },
});
const [colors, prices] = got(facets).facets;
saw.colors = colors?.values?.map((each) => [each.value, each.count]);
saw.prices = [prices?.numbers?.min, prices?.numbers?.max];
const listed: string[] = [];
let cursor: string | undefined;
do {
  const query = cursor === undefined ? { limit: 3 } : { limit: 3, cursor };
  const page = got(await client.GET("/v1/catalogs/{catalog}/products", { params: { path: { catalog }, query } }));
  listed.push(...page.products.map((each) => each.product_id));
  cursor = page.next ?? undefined;
} while (cursor !== undefined);
saw.listed = listed.sort();

// Delete, and what is then said of the product.
const deleted = await client.DELETE("/v1/catalogs/{catalog}/products/{product_id}", {
  params: { path: of("red/1"), query: { wait: 30 } },
});
saw.deleted = (await ended(got(deleted))).applied;
const gone = await client.GET("/v1/catalogs/{catalog}/products/{product_id}", { params: { path: of("red/1") } });
saw.problem = [gone.error?.status, gone.error?.code, gone.error?.type];
const jobs = await client.GET("/v1/jobs", { params: { query: { catalog } } });
saw.jobs = got(jobs).jobs.length;

// What the service would refuse is refused by the compiler.
export const wrong = [
  // @ts-expect-error a change names its product
  { image_url: picture(1) } satisfies Schemas["Change"],
  // @ts-expect-error there is no such field
  { product_id: "red/1", top: 3 } satisfies Schemas["Search"],
  // @ts-expect-error there is no such condition
  { must: { key: "color", equals: "red" } } satisfies Schemas["Filter"],
];

console.log(JSON.stringify(saw));
