// Explanations: each word's contribution as a colour and in a table.

const METHODS = {occlusion: "Occlusion", shap: "Shapley values"};

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
  const difference = target.score - base_value;
  const gap = method === "occlusion" && `The words' scores add up to ${formatNumber(difference - additivity_gap)}, the difference is ${formatNumber(difference)}.`;
  const notes = [
    `The ${output} is ${formatNumber(target.score)}, and ${formatNumber(base_value)} with every word masked.`,
    gap,
    `The model ran ${formatCount(rows)} times.`,
    truncated && "The text is longer than the model's window: its end was not read.",
    units_hidden_together > 1 && `In a text of this length, ${units_hidden_together} neighbouring words are masked together.`,
  ];
  return el("div", {},
    el("p", {class: "legend"},
      el("span", {}, el("span", {class: "swatch for"}), "for the answer"), el("span", {}, el("span", {class: "swatch against"}), "against the answer")),
    el("p", {class: "soft"}, notes.filter(Boolean).join(" ")));
}

function makeMethods(chosen, retry) {
  const buttons = Object.entries(METHODS).map(([method, meaning]) => el("button", {
    type: "button", class: "quiet", "aria-pressed": String(method === chosen), onclick: event => retry(method, event.currentTarget),
  }, meaning));
  return el("div", {class: "actions"}, el("span", {class: "soft"}, "Method"), ...buttons);
}
