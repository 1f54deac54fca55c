// Each task's answer, shown. `why` makes the button that asks which words an answer rests on.

const SHOW = {
  "text-classification": (texts, answer, why) => {
    const [best] = answer;
    const rows = answer.map(({label, score}) => ({label, share: score, text: percent(score), chosen: label === best.label, act: why(label, {target: label})}));
    return [headline(best.label, percent(best.score)), bars("Labels by probability", rows)];
  },
  "multi-label-classification": (texts, answer, why) => {
    const thresholds = state.info.settings.thresholds ?? [];
    const rows = answer.map(({label, score}) => {
      const tick = thresholds[state.info.labels.indexOf(label)] ?? .5;
      return {label, share: score, text: percent(score), chosen: score >= tick, tick, act: why(label, {target: label})};
    });
    const found = rows.filter(row => row.chosen).map(row => row.label);
    return [headline(found.join(", ") || "No label reaches its threshold"), bars("Labels by probability, each with its threshold", rows)];
  },
  "regression": (texts, [{label, score}], why) => [headline(figure(score), label), why("this number", {})],
  "token-classification": (texts, entities, why) => {
    const rows = entities.map(entity => ({
      label: entity.word, tag: entity.entity_group, share: entity.score, chosen: true, text: percent(entity.score),
      act: why(entity.word, {target: {start: entity.start, end: entity.end}}),
    }));
    return [
      passage("The text with its entities", Object.values(texts)[0], entities, entityMark),
      entities.length ? bars("Entities by place, with their score", rows) : headline("No entity was found"),
    ];
  },
  "question-answering": (texts, answer, why) => {
    const best = Array.isArray(answer) ? answer[0] : answer, none = best.start === best.end;
    const mark = (_, text) => el("mark", {class: "hue0"}, text);
    return [
      headline(none ? "The context does not tell" : best.answer, percent(best.score)),
      passage("The context with the answer in it", texts.context, none ? [] : [best], mark, "close"),
      why("this answer", {}),
    ];
  },
};

function headline(text, aside) {
  return el("p", {class: "big"}, el("bdi", {}, text), ...(aside ? [" ", el("small", {}, aside)] : []));
}

function answerArticle(texts, answer, several, cut) {
  const place = el("div", {class: "why", hidden: true});
  const why = (name, wish) => el("button", {
    type: "button", class: "link", "aria-label": `Why ${name}?`, onclick: event => explain(event.currentTarget, place, texts, wish),
  }, "Why?");
  const asked = several ? el("p", {class: "asked", dir: "auto"}, Object.values(texts).join(" · ")) : null;
  return el("article", {"aria-label": "Answer"}, asked, cut, ...SHOW[state.info.task](texts, answer, why), place);
}

// Vectors mean something beside other vectors: every text against every other, by cosine.
function similarities(groups, vectors) {
  const texts = groups.map(group => Object.values(group)[0]);
  const cosine = (a, b) => a.reduce((sum, value, place) => sum + value * b[place], 0);
  const numbers = `${count(vectors[0].length)} numbers, of length 1: ${vectors[0].slice(0, 6).map(n => figure(n, 4)).join(", ")}, …`;
  if (vectors.length === 1) return [headline("One vector"), el("p", {class: "soft"}, numbers), el("p", {class: "soft"}, "Add another text to see how similar they are.")];
  if (vectors.length === 2) {
    const similar = cosine(...vectors);
    return [headline(figure(similar), "cosine similarity"), bars("Similarity", [{label: "1 and 2", share: similar, text: figure(similar), chosen: true}])];
  }
  const head = el("tr", {}, el("td"), ...texts.map((_, n) => el("th", {scope: "col"}, `${n + 1}`)));
  const rows = vectors.map((a, n) => el("tr", {}, el("th", {scope: "row"}, `${n + 1}`), ...vectors.map(b => shaded(cosine(a, b)))));
  return [headline(`${vectors.length} texts`, "cosine similarity of each two"), el("table", {class: "matrix"}, el("caption", {}, el("span", {class: "unseen"}, "Cosine similarity of each two texts")), head, ...rows)];
}

function shaded(similar) {
  const cell = el("td", {}, figure(similar, 2));
  cell.style.background = `color-mix(in srgb, var(--for) ${(Math.max(0, similar) * 45).toFixed(1)}%, transparent)`;
  return cell;
}
