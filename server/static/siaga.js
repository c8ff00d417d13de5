// Refreshes the page in place; everything works without it. A page asks for it with an element that has
// data-refresh; nothing is swapped while a form has the focus, details are open, text is marked, or the page is out of
// sight.
"use strict";
(() => {
  const EVERY_MS = 15000;
  const main = document.querySelector("main");
  if (!main || !main.querySelector("[data-refresh]")) return;

  const busy = () => {
    const focused = document.activeElement;
    return document.hidden
      || (focused && focused.closest("form, details") && main.contains(focused))
      || main.querySelector("details[open]")
      || !document.getSelection().isCollapsed;
  };

  const refresh = async () => {
    if (busy()) return;
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
    // A redirect leads to the login: let the person see it at the next click rather than swap it in.
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!fresh || busy()) return;
    const link = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
    main.replaceChildren(...fresh.childNodes);
    if (link) main.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
  };

  setInterval(() => refresh().catch(() => {}), EVERY_MS);
})();
