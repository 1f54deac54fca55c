// Explanations: each word's contribution as a colour and in a table.

const METHODS = {occlusion: "Occlusion", shap: "Shapley values"};

async function explain(button, place, texts, parameters, method = "occlusion") {
  button.disabled = true;
  announce(t("Asking why…"));
  try {
    const inputs = inputOf(texts);
    const found = await (await post("explain", {inputs, parameters: {...parameters, method}}, state.request.signal)).json();
    place.replaceChildren(...renderExplanation(texts, found, (other, retry) => explain(retry, place, texts, parameters, other)));
    place.hidden = false;
    showError();
    announce(t("The words that {0} rests on are shown.", found.target.label || t("no answer")));
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
    el("h3", {}, t("Why "), el("bdi", {}, found.target.label || t("no answer")), t("?")),
    ...fields.map(([field, text]) => passage(t("{0}, its words coloured", t(humanize(field))), text,
      found.tokens.filter(token => token.field === field), (token, piece) => colorToken(token, piece, strongest), "close")),
    makeLegend(found),
    makeBars(t("The words that count most"), pickStrongest(found.tokens, strongest)),
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
  const gap = method === "occlusion" && t("The words' scores add up to {0}, the difference is {1}.", formatNumber(difference - additivity_gap), formatNumber(difference));
  const notes = [
    t("The {0} is {1}, and {2} with every word masked.", t(output), formatNumber(target.score), formatNumber(base_value)),
    gap,
    t("The model ran {0} times.", formatCount(rows)),
    truncated && t("The text is longer than the model's window: its end was not read."),
    units_hidden_together > 1 && t("In a text of this length, {0} neighbouring words are masked together.", units_hidden_together),
  ];
  return el("div", {},
    el("p", {class: "legend"},
      el("span", {}, el("span", {class: "swatch for"}), t("for the answer")), el("span", {}, el("span", {class: "swatch against"}), t("against the answer"))),
    el("p", {class: "soft"}, notes.filter(Boolean).join(" ")));
}

function makeMethods(chosen, retry) {
  const buttons = Object.entries(METHODS).map(([method, meaning]) => el("button", {
    type: "button", class: "quiet", "aria-pressed": String(method === chosen), onclick: event => retry(method, event.currentTarget),
  }, t(meaning)));
  return el("div", {class: "actions"}, el("span", {class: "soft"}, t("Method")), ...buttons);
}
