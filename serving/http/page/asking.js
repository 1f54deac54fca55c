// A question and its answer. Of several on their way only the last counts: it ends the ones before it.

// What makes an answer tell of every label, and not only of those it finds.
const ALL = {"multi-label-classification": {parameters: {threshold: 0}}};

const askPath = () => generates() ? "v1/completions" : "predict";

function askBody(groups) {
  if (generates()) return {prompt: Object.values(groups[0])[0] ?? "", ...generationOptions()};
  return {inputs: groups.map(inputOf)};
}

async function ask(event) {
  event.preventDefault();
  const groups = textGroups(), stopper = new AbortController();
  state.asking?.abort();
  state.asking = stopper;
  busy(true);
  problem();
  try {
    if (generates()) await generate(groups[0], stopper.signal);
    else await answer(groups, stopper.signal);
    say("The answer is there.");
  } catch (error) {
    if (error.name !== "AbortError") at("answers").replaceChildren();
    showRefusal(error);
  } finally {
    if (state.asking === stopper) busy(false);
  }
}

async function answer(groups, signal) {
  const response = await post("predict", {...askBody(groups), ...ALL[state.info.task]}, signal);
  showAnswers(groups, await response.json(), cutPlaces(response));
}

function showAnswers(groups, answers, cut) {
  const vectors = state.info.task === "feature-extraction";
  const shown = vectors ? [el("article", {"aria-label": "Answer"}, cutNote(cut, groups.length), ...similarities(groups, answers))]
    : groups.map((texts, place) => answerArticle(texts, answers[place], groups.length > 1, cutNote(cut.filter(each => each === place), groups.length)));
  at("answers").replaceChildren(...shown);
}

function busy(on) {
  at("answers").setAttribute("aria-busy", String(on));
  at("ask").disabled = on;
  at("stop").hidden = !(on && generates());
  if (on) say("Asking…");
}

function stop() {
  state.asking.abort();
  say("Stopped.");
}
