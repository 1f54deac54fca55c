// Generation, streamed from /v1/completions.

const GENERATES = ["text-generation", "text2text-generation"];

async function generate(texts, signal) {
  const prompt = Object.values(texts)[0], continues = state.info.task === "text-generation";
  const text = el("span"), cursor = el("span", {class: "cursor", "aria-hidden": "true"});
  const passage = el("p", {class: "generated", dir: "auto"}, continues ? el("span", {class: "prompt"}, prompt) : null, text, cursor);
  at("answers").replaceChildren(el("article", {"aria-label": t("Answer")}, passage));
  try {
    const response = await post("v1/completions", {prompt, stream: true, ...readGenerationOptions()}, signal);
    const note = truncationNote(truncatedInputs(response), 1);
    if (note) passage.before(note);
    for await (const choice of choices(response)) text.append(choice.text);
    if (!text.textContent) passage.after(el("p", {class: "soft"}, t("The model ended at once and wrote nothing.")));
  } finally {
    cursor.remove();
    if (signal.aborted) passage.append(el("span", {class: "soft"}, t(" (stopped)")));
  }
}

async function* choices(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events.map(each => each.replace(/^data: /, ""))) {
      if (event === "[DONE]") return;
      const content = JSON.parse(event);
      if (content.error) throw new ServerError(500, content.error.message ?? content.error);
      yield* content.choices;
    }
  }
}

function makeGenerationFields() {
  const field = (id, label, attributes) => el("div", {}, el("label", {for: id}, label), el("input", {id, type: "number", ...attributes}));
  return [
    field("max_tokens", t("At most so many tokens"), {min: 1, placeholder: state.info.settings.max_new_tokens}),
    field("temperature", t("Temperature, 0 is greedy"), {min: 0, step: .1, value: 0}),
    field("seed", t("Seed"), {min: 0, placeholder: t("any")}),
  ];
}

function readGenerationOptions() {
  const given = ["max_tokens", "temperature", "seed"].map(id => [id, at(id).value]).filter(([, value]) => value !== "");
  return Object.fromEntries(given.map(([id, value]) => [id, Number(value)]));
}
