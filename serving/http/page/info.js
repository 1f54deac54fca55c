// The proof, the limits, readiness, and code examples.

const SHARES = ["accuracy", "macro_f1", "micro_f1", "entity_f1", "f1", "exact_match", "token_accuracy"];

const LIMITS = {
  max_inputs: "Inputs per request", max_characters: "Characters per text", max_body_bytes: "Bytes per request", max_length: "Tokens per window",
  max_explain_rows: "Rows per explanation", max_explain_tokens: "Tokens per explanation",
  max_queue: "Windows in the queue", max_queue_tokens: "Tokens in the queue", max_bodies_bytes: "Bytes of all bodies",
  generation_seconds: "Longest generation, seconds", max_cache_bytes: "Bytes of generation caches", max_explanations: "Explanations at once",
  wait_seconds: "Longest wait, seconds", body_seconds: "Body timeout, seconds", head_seconds: "Header timeout, seconds",
  max_head_bytes: "Bytes of headers", keep_alive_seconds: "Keep-alive, seconds", max_connections: "Connections",
};

const formatScore = (metric, value) => SHARES.includes(metric) ? formatPercent(value) : formatNumber(value, 4);

function fillList(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, value, wide]) => {
    const kind = wide ? "wide" : undefined;
    return [el("dt", {class: kind}, name), el("dd", {class: kind}, value)];
  }));
}

function showInfo() {
  document.querySelectorAll(".after-info").forEach(part => { part.hidden = false; });
  const {info} = state, {parity} = info, labels = info.labels.length > 1 ? t("{0} labels", info.labels.length) : "";
  at("name").textContent = document.title = info.served_as;
  at("about").textContent = [t(humanize(info.task)), labels, info.variant, info.model.id && t("from {0}", info.model.id)].filter(Boolean).join(" · ");
  at("verdict").replaceChildren(el("span", {class: "verdict-mark", "aria-hidden": "true"}, "✓"), t("What is served is what was measured"));
  at("verdict-means").textContent = t("Before this bundle existed, the code that serves here was compared with the trained checkpoint.");
  const metric = humanize(parity.metric).replace("f1", "F1").replace(/^(spearman|pearson)/, name => name[0].toUpperCase() + name.slice(1));
  fillList(at("figures"), [
    [t("Test {0}, as served", t(metric)), formatScore(parity.metric, parity.score)],
    [t("Test {0}, as trained", t(metric)), formatScore(parity.metric, parity.reference_score)],
    [t("Inputs compared"), formatCount(parity.rows)],
    ...(parity.answers_equal === null ? [] : [[t("Equal answers"), t("{0} of {1}", formatCount(parity.answers_equal), formatCount(parity.rows))]]),
    [t("Equal token ids"), parity.token_ids_equal ? t("all") : t("not all")],
    [t("Largest logit difference"), parity.max_abs_logit_difference.toExponential(1).replace("-", "−")],
    [t("Proven on"), info.proven_on.cpu ?? info.proven_on.architecture, true],
    [t("Bundle sha256"), info.bundle_sha256, true],
  ]);
  showReliability(parity.reliability);
  const warnings = info.data_warnings;
  at("data-warnings").hidden = !warnings.length;
  at("data-warnings").replaceChildren(el("p", {}, t("The training warned of its data:")), el("ul", {}, ...warnings.map(text => el("li", {}, text))));
  fillList(at("limits"), Object.entries(info.limits).map(([name, value]) => [t(LIMITS[name] ?? humanize(name)), formatCount(value)]));
  const paths = ["info", "openapi.json", "card", "metrics", "readyz"];
  at("links").replaceChildren(...paths.map(path => el("li", {}, el("a", {href: ["metrics", "readyz"].includes(path) ? root + path : urlOf(path)}, `/${path}`))));
}

// Reliability as bars: how many answers with about this score are right, and a tick at the score itself.
function showReliability(reliability) {
  at("reliability").hidden = !reliability;
  if (!reliability) return;
  const rows = [...reliability.bins].reverse().map(([score, share]) => ({
    label: formatPercent(score), share, tick: score, tickName: t("mean score"), text: formatPercent(share),
  }));
  at("reliability-means").textContent = t("Scores on the test set, and how many of these answers are right. Calibration error {0}, before calibration {1}.", formatNumber(reliability.calibration_error), formatNumber(reliability.uncalibrated_error));
  at("reliability-bars").replaceChildren(makeBars(t("Share of right answers by score"), rows));
}

async function checkReady() {
  let on = false, text = t("Does not answer");
  try {
    const response = await fetch(`${root}readyz`, {cache: "no-store"});
    on = response.ok;
    text = on ? t("Ready") : t("Not ready");
  } catch { /* the text is set already */ }
  if (at("ready").textContent === text) return;
  at("ready").replaceChildren(el("span", {class: `dot ${on ? "on" : "off"}`, "aria-hidden": "true"}), text);
}

// Examples that send the form's request.
function showCode() {
  const groups = readGroups(), path = new URL(urlOf(askPath()), location.href).href;
  const body = askBody(groups.length ? groups : [{}]);
  const compact = JSON.stringify(body), key = server.key ? ["Authorization: Bearer YOUR_KEY"] : [];
  const headers = ["Content-Type: application/json", ...key];
  at("curl").textContent = `curl ${path} \\\n${headers.map(each => `  -H '${each}' \\\n`).join("")}  -d '${compact.replaceAll("'", "'\\''")}'`;
  const pairs = headers.map(each => each.split(": ")).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  at("python").textContent = [
    "import json", "import urllib.request", "",
    `body = ${toPython(body)}`,
    "request = urllib.request.Request(",
    `    ${JSON.stringify(path)},`,
    "    json.dumps(body).encode(),",
    `    {${pairs.join(", ")}},`,
    ")",
    "with urllib.request.urlopen(request) as response:", "    print(json.load(response))",
  ].join("\n");
}

// A JSON value as a Python literal.
function toPython(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(toPython).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${toPython(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}

async function copy(button) {
  const name = button.dataset.copy;
  await navigator.clipboard.writeText(at(name).textContent);
  announce(t("The {0} snippet is copied.", name));
  const before = [...button.childNodes];
  button.replaceChildren(t("Copied"));
  setTimeout(() => button.replaceChildren(...before), 1500);
}
