// Each task's answer as elements. `why` makes the button that requests an explanation.

const SHOW = {
  "text-classification": (texts, answer, why) => {
    const [best] = answer;
    const rows = answer.map(({label, score}) => ({label, share: score, text: formatPercent(score), chosen: label === best.label, act: why(label, {target: label})}));
    return [makeHeadline(best.label, formatPercent(best.score)), makeBars("Labels by probability", rows)];
  },
  "multi-label-classification": (texts, answer, why) => {
    const thresholds = state.info.settings.thresholds ?? [];
    const rows = answer.map(({label, score}) => {
      const tick = thresholds[state.info.labels.indexOf(label)] ?? .5;
      return {label, share: score, text: formatPercent(score), chosen: score >= tick, tick, act: why(label, {target: label})};
    });
    const found = rows.filter(row => row.chosen).map(row => row.label);
    return [makeHeadline(found.join(", ") || "No label reaches its threshold"), makeBars("Labels by probability, each with its threshold", rows)];
  },
  "regression": (texts, [{label, score, low, high}], why) => {
    const interval = low === undefined ? "" : `, ${formatNumber(low)} to ${formatNumber(high)} in ${formatPercent(state.info.settings.coverage)} of texts`;
    return [makeHeadline(formatNumber(score), label + interval), why("this number", {})];
  },
  "token-classification": (texts, entities, why) => {
    const rows = entities.map(entity => ({
      label: entity.word, tag: entity.entity_group, share: entity.score, chosen: true, text: formatPercent(entity.score),
      act: why(entity.word, {target: {start: entity.start, end: entity.end}}),
    }));
    return [
      passage("The text with its entities", Object.values(texts)[0], entities, markEntity),
      entities.length ? makeBars("Entities by place, with their score", rows) : makeHeadline("No entity was found"),
    ];
  },
  "question-answering": (texts, answer, why) => {
    const best = Array.isArray(answer) ? answer[0] : answer, none = best.start === best.end;
    const mark = (_, text) => el("mark", {class: "hue0"}, text);
    return [
      makeHeadline(none ? "The context does not tell" : best.answer, formatPercent(best.score)),
      passage("The context with the answer in it", texts.context, none ? [] : [best], mark, "close"),
      why("this answer", {}),
    ];
  },
};

const makeHeadline = (text, aside) => el("p", {class: "big"}, el("bdi", {}, text), ...(aside ? [" ", el("small", {}, aside)] : []));

function makeAnswer(texts, answer, several, note) {
  const place = el("div", {class: "why", hidden: true});
  const why = (name, parameters) => state.info.limits.max_explanations === 0 ? null : el("button", {
    type: "button", class: "link", "aria-label": `Why ${name}?`, onclick: event => explain(event.currentTarget, place, texts, parameters),
  }, "Why?");
  const asked = several ? el("p", {class: "asked", dir: "auto"}, Object.values(texts).join(" · ")) : null;
  return el("article", {"aria-label": "Answer"}, asked, note, ...SHOW[state.info.task](texts, answer, why), place);
}

// Cosine similarities of all pairs of texts.
function makeSimilarities(groups, vectors) {
  const texts = groups.map(group => Object.values(group)[0]);
  const cosine = (a, b) => a.reduce((sum, value, place) => sum + value * b[place], 0);
  const numbers = `${formatCount(vectors[0].length)} numbers, of length 1: ${vectors[0].slice(0, 6).map(n => formatNumber(n, 4)).join(", ")}, …`;
  if (vectors.length === 1) return [makeHeadline("One vector"), el("p", {class: "soft"}, numbers), el("p", {class: "soft"}, "Add another text to see how similar they are.")];
  if (vectors.length === 2) {
    const similar = cosine(...vectors);
    return [makeHeadline(formatNumber(similar), "cosine similarity"), makeBars("Similarity", [{label: "1 and 2", share: similar, text: formatNumber(similar), chosen: true}])];
  }
  const head = el("tr", {}, el("td"), ...texts.map((_, n) => el("th", {scope: "col"}, `${n + 1}`)));
  const rows = vectors.map((a, n) => el("tr", {}, el("th", {scope: "row"}, `${n + 1}`), ...vectors.map(b => shadeCell(cosine(a, b)))));
  return [makeHeadline(`${vectors.length} texts`, "cosine similarity of each two"), el("table", {class: "matrix"}, el("caption", {}, el("span", {class: "visually-hidden"}, "Cosine similarity of each two texts")), head, ...rows)];
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
  const one = places.length === 1, thing = state.fields.length > 1 ? "input" : "text";
  const numbers = new Intl.ListFormat("en").format(places.map(place => `${place + 1}`));
  const which = inputs === 1 ? `This ${thing} is` : one ? `Text ${numbers} is` : `Texts ${numbers} are`;
  const part = state.info.task === "text-generation" ? "beginning" : "end";
  const tokens = formatCount(state.info.max_input_length);
  return el("p", {class: "cut"}, `${which} longer than what the model reads, which is ${tokens} tokens: ${one ? "its" : "their"} ${part} was not read.`);
}
