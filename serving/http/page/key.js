// The API key, where the server wants one: asked for, tried, and kept in this page's memory.

const NOT_IN_KEYS = /[^A-Za-z0-9._~+/=-]/u;

function wantKey() {
  at("key-form").hidden = false;
  at("key").focus();
}

async function useKey(event) {
  event.preventDefault();
  const key = at("key").value.trim(), odd = NOT_IN_KEYS.exec(key);
  if (odd) { problem(`A key has no “${odd}” in it.`, "Letters from A to Z, digits and - . _ ~ + / = are accepted."); return; }
  server.key = key;
  try {
    await json("info");
  } catch (error) {
    showRefusal(error);
    return;
  }
  at("key-form").hidden = true;
  at("key").value = "";
  problem();
  if (state.info) at("form").requestSubmit(); else await start();
  at("inputs").querySelector("textarea")?.focus();
}

// A link carries no key: what it leads to is fetched with the key, and shown as a text in a tab of its own.
async function follow(event) {
  const link = event.target.closest("a");
  if (!link || !server.key) return;
  event.preventDefault();
  try {
    const text = await (await fetched(link.href)).text();
    open(URL.createObjectURL(new Blob([text], {type: "text/plain;charset=utf-8"})));
  } catch (error) {
    showRefusal(error);
  }
}
