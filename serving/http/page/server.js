// Requests to the chosen model; HTTP errors with advice.

// Where the page has no slash at its end, such as /support, relative addresses leave that part out.
const root = location.pathname.endsWith("/") ? "" : `${location.pathname.split("/").pop()}/`;

const server = {base: root, key: ""};

class ServerError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    Object.assign(this, {status, retryAfter});
  }
}

const ADVICE = {
  0: "Is the server still running, and can this browser reach it?",
  401: "Give another one above.",
  403: "This key may not ask here.",
  413: "Send less at once; the limits are listed under “The server”.",
  429: "Others are waiting too.",
  503: "It is starting or stopping; try again in a moment.",
  500: "This is the server's fault; its log tells more.",
};

const urlOf = path => server.base + path;

async function fetchOk(path, options = {}) {
  const headers = {...options.headers, ...(server.key && {Authorization: `Bearer ${server.key}`})};
  let response;
  try {
    response = await fetch(path, {...options, headers});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, t("The server did not answer."));
  }
  if (response.ok) return response;
  const body = await response.text();
  throw new ServerError(response.status, parseError(body) || response.statusText, response.headers.get("Retry-After"));
}

function parseError(body) {
  try {
    const {error} = JSON.parse(body);
    return typeof error === "string" ? error : error?.message;
  } catch {
    return body.slice(0, 300);
  }
}

function post(path, content, signal) {
  const headers = {"Content-Type": "application/json"};
  return fetchOk(urlOf(path), {method: "POST", headers, body: JSON.stringify(content), signal});
}

async function fetchJson(path, signal) {
  return (await fetchOk(path, {signal})).json();
}

// `retry`: optional, for a button.
function showFailure(error, retry) {
  if (error.name === "AbortError") return;
  announce("");
  if (error.status === 401) askForKey();
  if (error.status === 401 && !server.key) return; // no key was sent yet: the form asks for one
  if (!(error instanceof ServerError)) { showError(t("This page could not show the answer."), error.message); return; }
  const wait = error.retryAfter && t("Try again in {0} s.", error.retryAfter);
  const title = error.status ? t("The server refused this ({0}).", error.status) : error.message;
  const button = retry && el("button", {type: "button", class: "quiet", onclick: () => retry()}, t("Try again"));
  showError(title, error.status && error.message, wait || (ADVICE[error.status] && t(ADVICE[error.status])), button);
}
