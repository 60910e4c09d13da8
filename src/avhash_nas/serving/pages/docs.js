// Renders /openapi.json without external resources.

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

let api = {};

const resolve = (schema) => (schema?.$ref ? schema.$ref.split("/").slice(1).reduce((node, key) => node[key], api) : schema);
const nameOf = (schema) => schema?.$ref?.split("/").pop();

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return nameOf(schema);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.format === "binary" ? "file" : schema.type ?? "";
}

function range(schema) {
  const whole = [schema, ...(schema.anyOf ?? [])];
  const find = (key) => whole.map((each) => each[key]).find((value) => value !== undefined);
  const bounds = [["minimum", "at least"], ["maximum", "at most"], ["default", "default"]];
  return bounds.filter(([key]) => find(key) !== undefined && find(key) !== null && find(key) !== "")
    .map(([key, words]) => `${words} ${find(key)}`).join(", ");
}

/** Renders text between backticks as code. */
const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

function row(name, schema, required, text) {
  return make("tr", {},
    make("td", {}, make("code", { textContent: name })),
    make("td", { textContent: typeOf(schema) }),
    make("td", { textContent: [required ? "required" : "", range(schema)].filter(Boolean).join(", ") }),
    make("td", {}, ...withCode(text ?? "")));
}

function table(caption, rows) {
  if (!rows.length) return null;
  const head = make("tr", {}, ...[caption, "type", "", ""].map((text) => make("th", { textContent: text })));
  return make("div", { className: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function fields(schema, required) {
  const whole = resolve(schema) ?? {};
  return Object.entries(whole.properties ?? {}).map(([name, each]) =>
    row(name, each, required && whole.required?.includes(name), each.description));
}

function curl(method, path, form) {
  const address = `${location.origin}${path.replace("{video}", "ID")}`;
  if (form) return `curl -F video=@video.mp4 -F top=10 ${address}`;
  return `curl '${address}${path === "/api/search" ? "?id=ID&top=10" : ""}'`;
}

function operation(path, method, details) {
  const form = details.requestBody?.content["multipart/form-data"]?.schema;
  const reply = details.responses["200"]?.content?.["application/json"]?.schema;
  const title = make("h2", {},
    make("span", { className: "method", textContent: method.toUpperCase() }),
    make("code", { textContent: path }),
    make("span", { textContent: details.summary ?? "" }));
  return make("section", {}, title,
    table("parameter", (details.parameters ?? []).map((each) => row(each.name, each.schema, each.required, each.description ?? each.schema.description))),
    form ? table("form field", fields(form, true)) : null,
    reply ? make("p", {}, "Response: ", make("a", { href: `#${nameOf(reply)}`, textContent: nameOf(reply) })) : null,
    make("pre", { textContent: curl(method, path, form) }));
}

function value(name, schema) {
  const title = make("h2", { id: name }, make("code", { textContent: name }), make("span", { textContent: schema.description ?? "" }));
  return make("section", {}, title, table("field", fields(schema, false)));
}

async function begin() {
  try {
    api = await (await fetch("/openapi.json")).json();
  } catch {
    const problem = document.getElementById("problem");
    problem.textContent = "the service cannot be reached";
    problem.hidden = false;
    return;
  }
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      document.getElementById("operations").append(operation(path, method, details));
    }
  }
  const values = Object.entries(api.components.schemas).sort(([one], [other]) => one.localeCompare(other));
  document.getElementById("operations").append(...values.map(([name, schema]) => value(name, schema)));
}

begin();
