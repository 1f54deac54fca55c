// Each task's answer as elements. `why` makes the button that requests an explanation.

const SHOW = {
  "text-classification": (texts, answer, why) => {
    const [best] = answer;
    const rows = answer.map(({label, score}) => ({label, share: score, text: formatPercent(score), chosen: label === best.label, act: why(label, {target: label})}));
    return [makeHeadline(best.label, formatPercent(best.score)), makeBars(t("Labels by probability"), rows)];
  },
  "multi-label-classification": (texts, answer, why) => {
    const thresholds = state.info.settings.thresholds ?? [];
    const rows = answer.map(({label, score}) => {
      const tick = thresholds[state.info.labels.indexOf(label)] ?? .5;
      return {label, share: score, text: formatPercent(score), chosen: score >= tick, tick, act: why(label, {target: label})};
    });
    const found = rows.filter(row => row.chosen).map(row => row.label);
    return [makeHeadline(found.join(", ") || t("No label reaches its threshold")), makeBars(t("Labels by probability, each with its threshold"), rows)];
  },
  "regression": (texts, [{label, score, low, high}], why) => {
    const interval = low === undefined ? "" : t(", {0} to {1} in {2} of texts", formatNumber(low), formatNumber(high), formatPercent(state.info.settings.coverage));
    return [makeHeadline(formatNumber(score), label + interval), why(t("this number"), {})];
  },
  "token-classification": (texts, entities, why) => {
    const rows = entities.map(entity => ({
      label: entity.word, tag: entity.entity_group, share: entity.score, chosen: true, text: formatPercent(entity.score),
      act: why(entity.word, {target: {start: entity.start, end: entity.end}}),
    }));
    return [
      passage(t("The text with its entities"), Object.values(texts)[0], entities, markEntity),
      entities.length ? makeBars(t("Entities by place, with their score"), rows) : makeHeadline(t("No entity was found")),
    ];
  },
  "question-answering": (texts, answer, why) => {
    const best = Array.isArray(answer) ? answer[0] : answer, none = best.start === best.end;
    const mark = (_, text) => el("mark", {class: "hue0"}, text);
    return [
      makeHeadline(none ? t("The context does not tell") : best.answer, formatPercent(best.score)),
      passage(t("The context with the answer in it"), texts.context, none ? [] : [best], mark, "close"),
      why(t("this answer"), {}),
    ];
  },
};

const makeHeadline = (text, aside) => el("p", {class: "big"}, el("bdi", {}, text), ...(aside ? [" ", el("small", {}, aside)] : []));

function makeAnswer(texts, answer, several, note) {
  const place = el("div", {class: "why", hidden: true});
  const why = (name, parameters) => state.info.limits.max_explanations === 0 ? null : el("button", {
    type: "button", class: "link", "aria-label": t("Why {0}?", name), onclick: event => explain(event.currentTarget, place, texts, parameters),
  }, t("Why?"));
  const asked = several ? el("p", {class: "asked", dir: "auto"}, Object.values(texts).join(" · ")) : null;
  return el("article", {"aria-label": t("Answer")}, asked, note, ...SHOW[state.info.task](texts, answer, why), place);
}

// Cosine similarities of all pairs of texts.
function makeSimilarities(groups, vectors) {
  const texts = groups.map(group => Object.values(group)[0]);
  const cosine = (a, b) => a.reduce((sum, value, place) => sum + value * b[place], 0);
  const numbers = t("{0} numbers, of length 1: {1}, …", formatCount(vectors[0].length), vectors[0].slice(0, 6).map(n => formatNumber(n, 4)).join(", "));
  if (vectors.length === 1) return [makeHeadline(t("One vector")), el("p", {class: "soft"}, numbers), el("p", {class: "soft"}, t("Add another text to see how similar they are."))];
  if (vectors.length === 2) {
    const similar = cosine(...vectors);
    return [makeHeadline(formatNumber(similar), t("cosine similarity")), makeBars(t("Similarity"), [{label: t("1 and 2"), share: similar, text: formatNumber(similar), chosen: true}])];
  }
  const head = el("tr", {}, el("td"), ...texts.map((_, n) => el("th", {scope: "col"}, `${n + 1}`)));
  const rows = vectors.map((a, n) => el("tr", {}, el("th", {scope: "row"}, `${n + 1}`), ...vectors.map(b => shadeCell(cosine(a, b)))));
  return [makeHeadline(t("{0} texts", vectors.length), t("cosine similarity of each two")), el("table", {class: "matrix"}, el("caption", {}, el("span", {class: "visually-hidden"}, t("Cosine similarity of each two texts"))), head, ...rows)];
}

function shadeCell(similar) {
  const cell = el("td", {}, formatNumber(similar, 2));
  cell.style.background = `color-mix(in srgb, var(--for) ${(Math.max(0, similar) * 45).toFixed(1)}%, transparent)`;
  return cell;
}

// Indices of the inputs that were truncated.
const truncatedInputs = response => (response.headers.get("X-Truncated") ?? "").split(",").filter(Boolean).map(Number);

// Text generation truncates the beginning, every other task the end.
function truncationNote(places, inputs) {
  if (!places.length) return null;
  const thing = t(state.fields.length > 1 ? "input" : "text"), part = t(state.info.task === "text-generation" ? "beginning" : "end");
  const numbers = new Intl.ListFormat(language.now).format(places.map(place => `${place + 1}`));
  const tokens = formatCount(state.info.max_input_length);
  const note = inputs === 1 ? t("This {0} is longer than what the model reads, which is {1} tokens: its {2} was not read.", thing, tokens, part)
    : places.length === 1 ? t("Text {0} is longer than what the model reads, which is {1} tokens: its {2} was not read.", numbers, tokens, part)
    : t("Texts {0} are longer than what the model reads, which is {1} tokens: their {2} was not read.", numbers, tokens, part);
  return el("p", {class: "cut"}, note);
}
