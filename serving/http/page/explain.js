// Explanations: each word's contribution as a colour and in a table.

const METHODS = {occlusion: "what is lost without it", shap: "its Shapley value"};

async function explain(button, place, texts, parameters, method = "occlusion") {
  button.disabled = true;
  announce("Asking why…");
  try {
    const inputs = inputOf(texts);
    const found = await (await post("explain", {inputs, parameters: {...parameters, method}}, state.request.signal)).json();
    place.replaceChildren(...renderExplanation(texts, found, (other, retry) => explain(retry, place, texts, parameters, other)));
    place.hidden = false;
    showError();
    announce(`The words that ${found.target.label || "no answer"} rests on are shown.`);
  } catch (error) {
    showFailure(error);
  } finally {
    button.disabled = false;
  }
}

function renderExplanation(texts, found, retry) {
  const strongest = Math.max(...found.tokens.map(token => Math.abs(token.score)), 1e-9);
  const named = Object.entries(texts), fields = named.length > 1 ? named : [["inputs", named[0][1]]];
  return [
    el("h3", {}, "Why ", el("bdi", {}, found.target.label || "no answer"), "?"),
    ...fields.map(([field, text]) => passage(`${humanize(field)}, its words coloured`, text,
      found.tokens.filter(token => token.field === field), (token, piece) => colorToken(token, piece, strongest), "close")),
    makeLegend(found),
    makeBars("The words that count most", pickStrongest(found.tokens, strongest)),
    makeMethods(found.method, retry),
  ];
}

function colorToken(token, text, strongest) {
  const share = token.score / strongest;
  const span = el("span", {class: "token", title: `${text}: ${formatNumber(token.score)}`}, text);
  if (Math.abs(share) >= .04) span.style.background = `color-mix(in srgb, var(--${share > 0 ? "for" : "against"}) ${(Math.abs(share) * 45).toFixed(1)}%, transparent)`;
  return span;
}

function pickStrongest(tokens, strongest) {
  const byStrength = [...tokens].sort((a, b) => Math.abs(b.score) - Math.abs(a.score)).slice(0, 12);
  return byStrength.map(({word, score}) => ({
    label: word, share: Math.abs(score) / strongest, text: (score > 0 ? "+" : "") + formatNumber(score), kind: score > 0 ? "for" : "against",
  }));
}

function makeLegend({output, target, base_value, truncated, units_hidden_together, rows, additivity_gap, method}) {
  const gap = method === "occlusion" ? `; the words' sum misses the difference by ${formatNumber(additivity_gap)}` : "";
  const notes = [
    `${output} ${formatNumber(target.score)}, ${formatNumber(base_value)} with every word hidden${gap}; the model was asked ${formatCount(rows)} times.`,
    truncated && "The end of the text was past the model's window and was not read.",
    units_hidden_together > 1 && `So long a text is explained ${units_hidden_together} neighbours at a time.`,
  ];
  return el("div", {},
    el("p", {class: "legend"},
      el("span", {}, el("span", {class: "swatch for"}), "speaks for it"), el("span", {}, el("span", {class: "swatch against"}), "speaks against it")),
    el("p", {class: "soft"}, notes.filter(Boolean).join(" ")));
}

function makeMethods(chosen, retry) {
  const buttons = Object.entries(METHODS).map(([method, meaning]) => el("button", {
    type: "button", class: "quiet", "aria-pressed": String(method === chosen), onclick: event => retry(method, event.currentTarget),
  }, meaning));
  return el("div", {class: "actions"}, el("span", {class: "soft"}, "A word counts by"), ...buttons);
}
