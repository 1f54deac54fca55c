// The API key: requested, tried, and kept in this page's memory only.

const NOT_IN_KEYS = /[^A-Za-z0-9._~+/=-]/u;

function askForKey() {
  at("key-form").hidden = false;
  at("key").focus();
}

async function submitKey(event) {
  event.preventDefault();
  const key = at("key").value.trim(), odd = NOT_IN_KEYS.exec(key);
  if (odd) { showError(t("A key has no “{0}” in it.", odd), t("Letters from A to Z, digits and - . _ ~ + / = are accepted.")); return; }
  server.key = key;
  try {
    await fetchJson(`${root}info`);
  } catch (error) {
    showFailure(error);
    return;
  }
  at("key-form").hidden = true;
  at("key").value = "";
  showError();
  if (state.info) at("form").requestSubmit(); else await start();
  at("inputs").querySelector("textarea")?.focus();
}

// A link sends no key: its target is fetched with the key and opened as text in a new tab.
async function openLink(event) {
  const link = event.target.closest("a");
  if (!link || !server.key) return;
  event.preventDefault();
  try {
    const text = await (await fetchOk(link.href)).text();
    open(URL.createObjectURL(new Blob([text], {type: "text/plain;charset=utf-8"})));
  } catch (error) {
    showFailure(error);
  }
}
