// Choosing a model, and start-up.

const state = {info: null, paths: [], fields: ["text"], request: null, modelRequest: null};

// Address, information and fields change together, once both documents have come.
async function choose(base) {
  const controller = new AbortController(), {signal} = controller;
  state.request?.abort();
  state.modelRequest?.abort();
  state.modelRequest = controller;
  at("form").inert = true;
  at("answers").replaceChildren();
  showError();
  try {
    const [info, document] = await Promise.all([fetchJson(`${base}info`, signal), fetchJson(`${base}openapi.json`, signal)]);
    server.base = base;
    Object.assign(state, {info, paths: Object.keys(document.paths), fields: fieldsOf(document)});
  } finally {
    if (state.modelRequest === controller) at("form").inert = false;
  }
  showModel();
}

function fieldsOf(document) {
  const one = document.components.schemas.Request.properties.inputs.oneOf[0];
  return Object.keys(one.properties ?? {text: {}});
}

// Typed texts are kept for the fields that the new model has too.
function showModel() {
  const typed = readGroups().map(texts => state.fields.map(name => texts[name])).filter(values => values.some(Boolean));
  const least = state.info.task === "feature-extraction" ? 2 : 1;
  while (typed.length < least) typed.push([]);
  at("options").replaceChildren(...(generates() ? makeGenerationFields() : []));
  showInfo();
  fillForm(typed);
  loadCard();
}

async function offerModels() {
  if (!state.paths.includes("/models")) return;
  const {models} = await fetchJson(`${root}models`), names = models.map(model => model.name);
  at("model").replaceChildren(...names.map(name => el("option", {value: name}, name)));
  at("chooser").hidden = names.length < 2;
}

async function chooseAnother() {
  try {
    await choose(`${root}models/${encodeURIComponent(at("model").value)}/`);
  } catch (error) {
    if (error.name === "AbortError") return;
    at("model").value = state.info.served_as;
    showFailure(error);
  }
}

// Asks the texts after the #, separated by &; browsers do not send that part to the server.
function askFromAddress() {
  if (location.hash.length < 2 || !state.info || at("form").inert) return;
  const texts = location.hash.slice(1).split("&").map(decode), inputs = [];
  while (texts.length) inputs.push(texts.splice(0, state.fields.length));
  fillForm(inputs);
  at("form").requestSubmit();
}

// Unchanged where it is not percent-encoded, such as "50%".
const decode = text => {
  try { return decodeURIComponent(text); } catch { return text; }
};

async function start() {
  try {
    await choose(root);
    await offerModels();
    askFromAddress();
  } catch (error) {
    if (!state.info) at("name").textContent = location.host;
    showFailure(error, start);
  }
}

at("form").addEventListener("submit", ask);
at("form").addEventListener("input", showCode);
at("form").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
});
at("stop").addEventListener("click", stop);
at("more").addEventListener("click", () => { addGroup([]).querySelector("textarea").focus(); showCode(); });
at("model").addEventListener("change", chooseAnother);
at("key-form").addEventListener("submit", submitKey);
at("links").addEventListener("click", openLink);
at("card-part").addEventListener("toggle", loadCard);
// Not by the #, which holds texts.
at("skip").addEventListener("click", event => { event.preventDefault(); at("try").focus(); });
addEventListener("hashchange", askFromAddress);
document.querySelectorAll("[data-copy]").forEach(button => button.addEventListener("click", () => copy(button)));
initLanguage(initTheme());
start();
checkReady();
setInterval(() => { if (!document.hidden) checkReady(); }, 15000);
