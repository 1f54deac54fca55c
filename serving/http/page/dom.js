// Elements from names, attributes and text: no string becomes markup.

const at = id => document.getElementById(id);

function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter(child => child !== undefined && child !== null));
  return element;
}

const formatPercent = share => (100 * share).toFixed(1) + " %";
const formatNumber = (number, digits = 3) => Number.isFinite(number) ? number.toFixed(digits).replace("-", "−") : "–";
const formatCount = number => number.toLocaleString("en-US");
const humanize = name => name.replaceAll("_", " ").replaceAll("-", " ");

const announce = message => { at("status").textContent = message; };

function showError(title, ...lines) {
  at("problem").replaceChildren(...(title ? [el("p", {}, el("strong", {}, title)), ...lines.filter(Boolean).map(line => el("p", {}, line))] : []));
}

function initTheme() {
  const order = ["auto", "light", "dark"];
  let theme = "auto";
  const show = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    at("theme").textContent = t("Theme: {0}", t(theme));
  };
  at("theme").addEventListener("click", () => { theme = order[(order.indexOf(theme) + 1) % 3]; show(); });
  show();
  return show;
}
