// Asking the model. A new request aborts the one before it.

// Parameters under which every label is answered.
const ALL = {"multi-label-classification": {parameters: {threshold: 0}}};

const askPath = () => generates() ? "v1/completions" : "predict";

function askBody(groups) {
  if (generates()) return {prompt: Object.values(groups[0])[0] ?? "", ...readGenerationOptions()};
  return {inputs: groups.map(inputOf)};
}

async function ask(event) {
  event.preventDefault();
  const groups = readGroups(), controller = new AbortController();
  state.request?.abort();
  state.request = controller;
  setBusy(true);
  showError();
  try {
    if (generates()) await generate(groups[0], controller.signal);
    else await answer(groups, controller.signal);
    announce(t("The answer is there."));
  } catch (error) {
    if (error.name !== "AbortError") at("answers").replaceChildren();
    showFailure(error);
  } finally {
    if (state.request === controller) setBusy(false);
  }
}

async function answer(groups, signal) {
  const response = await post("predict", {...askBody(groups), ...ALL[state.info.task]}, signal);
  showAnswers(groups, await response.json(), truncatedInputs(response));
}

function showAnswers(groups, answers, truncated) {
  const vectors = state.info.task === "feature-extraction";
  const shown = vectors ? [el("article", {"aria-label": t("Answer")}, truncationNote(truncated, groups.length), ...makeSimilarities(groups, answers))]
    : groups.map((texts, place) => makeAnswer(texts, answers[place], groups.length > 1, truncationNote(truncated.filter(each => each === place), groups.length)));
  at("answers").replaceChildren(...shown);
}

function setBusy(on) {
  at("answers").setAttribute("aria-busy", String(on));
  at("ask").disabled = on;
  at("stop").hidden = !(on && generates());
  if (on) announce(t("Asking…"));
}

function stop() {
  state.request.abort();
  announce(t("Stopped."));
}
