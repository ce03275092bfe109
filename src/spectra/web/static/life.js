// Makes pages live. Every page works without this file: it fetches the same pages and puts parts of them in place.
//
//   data-live="job,alert"   an element with an id: fetched again when something of these topics happens
//   data-poll="5"           the same every so many seconds, while it can be seen
//   data-into="#results"    a link or a GET form whose answer's element takes that element's place
//   data-complete="/path?at=" a field: what is offered for the word at the cursor (lines of: text, tab, what it is)
//   data-copy="#id"         a button that copies the text of an element
//   data-confirm="Sure?"    a form or a button that asks first
//   data-all="name"         a box that ticks all boxes of that name in its form
//   data-submit             a field that sends its form when it changes
//   data-js                 what only makes sense with this file: hidden without it
//   data-lazy="/path"       an element whose content is fetched once the page is there
"use strict";

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const typing = (node) => node && (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName));

  // Fetching and putting in place ------------------------------------------------------------------------------------

  const parse = (text) => new DOMParser().parseFromString(text, "text/html");

  async function page(url, signal) {
    const answer = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin", signal });
    return { document: parse(await answer.text()), ok: answer.ok, url: answer.url, moved: answer.redirected };
  }

  // What somebody is at must not be taken away from them: an open menu, a field with the focus, ticked boxes.
  function busy(element) {
    return element.contains(document.activeElement) && typing(document.activeElement)
      || all("input[type=checkbox]:checked[data-keep], input[type=checkbox][name=id]:checked", element).length > 0;
  }

  function replace(old, fresh) {
    const open = new Set(all("details[open][id]", old).map((one) => one.id));
    const node = document.importNode(fresh, true);
    all("details[id]", node).forEach((one) => { if (open.has(one.id)) one.open = true; });
    const focus = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(node);
    if (focus) document.getElementById(focus)?.focus();
    begin(node);
    return node;
  }

  const under = new Set();
  async function refresh(elements) {
    const wanted = elements.filter((one) => one.id && !under.has(one.id) && !busy(one));
    if (!wanted.length) return;
    wanted.forEach((one) => under.add(one.id));
    try {
      const got = await page(location.href);
      if (!got.ok || got.moved) return;
      for (const old of wanted) {
        const fresh = got.document.getElementById(old.id);
        const here = document.getElementById(old.id);
        if (fresh && here && fresh.innerHTML !== here.innerHTML) replace(here, fresh).classList.add("fresh");
      }
    } catch { /* the next event tries again */ } finally {
      wanted.forEach((one) => under.delete(one.id));
    }
  }

  let going = null;
  async function into(selector, url, push = true) {
    going?.abort();
    going = new AbortController();
    const target = document.querySelector(selector);
    target?.setAttribute("aria-busy", "true");
    try {
      const got = await page(url, going.signal);
      const fresh = got.document.querySelector(selector);
      if (!target || !fresh || (got.moved && new URL(got.url).pathname !== new URL(url, location.href).pathname)) {
        location.assign(url);
        return;
      }
      replace(target, fresh);
      document.title = got.document.title;
      if (push) history.pushState({ into: selector }, "", url);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-into]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    into(link.dataset.into, link.href);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter;
    const question = button?.dataset.confirm || form.dataset.confirm;
    if (question && !window.confirm(question)) { event.preventDefault(); return; }
    if (form.method !== "get" || !form.dataset.into) return;
    event.preventDefault();
    const fields = [...new FormData(form, button)].filter(([, value]) => value !== "");
    const url = new URL(form.action, location.href);
    url.search = new URLSearchParams(fields).toString();
    into(form.dataset.into, url.href);
  });
  window.addEventListener("popstate", () => location.reload());

  // What happens, as it happens ----------------------------------------------------------------------------------------

  const heard = new Set();
  let waiting = 0;
  function happened(topic) {
    heard.add(topic);
    if (waiting) return;
    waiting = window.setTimeout(() => {
      waiting = 0;
      const topics = new Set(heard);
      heard.clear();
      if (document.hidden) { topics.forEach((one) => heard.add(one)); return; }
      refresh(all("[data-live]").filter((one) => one.dataset.live.split(",").some((name) => name === "*" || topics.has(name.trim()))));
    }, 400);
  }

  let stream = null;
  function listen() {
    if (stream || document.hidden || !document.querySelector("[data-live]") || !window.EventSource) return;
    const cursor = document.body.dataset.cursor;  // what happened since the page was read is told too
    stream = new EventSource(cursor ? `/live?cursor=${cursor}` : "/live");
    const sign = document.getElementById("live");
    stream.onopen = () => { if (sign) sign.hidden = false; };
    stream.onerror = () => { if (sign) sign.hidden = true; };
    stream.onmessage = (event) => happened(event.data.split(" ")[0]);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stream?.close(); stream = null; return; }
    listen();
    refresh(all("[data-live]"));
  });

  // Completion: a combobox over the query language -----------------------------------------------------------------------

  function completing(field) {
    const list = document.createElement("ul");
    list.className = "complete";
    list.id = `${field.id || "field"}-offers`;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Suggestions");
    list.hidden = true;
    field.parentElement.classList.add("combo");
    field.after(list);
    for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", list.id], ["aria-autocomplete", "list"]]) {
      field.setAttribute(name, value);
    }
    let at = -1, asked = null, timer = 0;
    const close = () => { list.hidden = true; at = -1; field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); };
    const word = () => {
      const before = field.value.slice(0, field.selectionStart);
      const start = Math.max(before.lastIndexOf(" "), -1) + 1;
      return { start, end: field.selectionStart, text: before.slice(start) };
    };
    const take = (item) => {
      const { start, end } = word();
      const ends = item.dataset.text.endsWith(":") ? "" : " ";
      field.setRangeText(item.dataset.text + ends, start, end, "end");
      close();
      field.focus();
      if (!ends) ask();
    };
    const mark = (next) => {
      const items = [...list.children];
      at = (next + items.length) % items.length;
      items.forEach((one, number) => one.setAttribute("aria-selected", String(number === at)));
      items[at].scrollIntoView({ block: "nearest" });
      field.setAttribute("aria-activedescendant", items[at].id);
    };
    async function ask() {
      asked?.abort();
      asked = new AbortController();
      const { text } = word();
      try {
        const path = field.dataset.complete;
        const url = `${path}${path.includes("?") ? "&" : "?"}word=${encodeURIComponent(text)}&q=${encodeURIComponent(field.value)}`;
        const answer = await fetch(url, { credentials: "same-origin", signal: asked.signal });
        if (!answer.ok || answer.redirected) return close();
        const lines = (await answer.text()).split("\n").filter(Boolean).slice(0, 20);
        list.replaceChildren(...lines.map((line, number) => {
          const [value, what = ""] = line.split("\t");
          const item = document.createElement("li");
          item.id = `${list.id}-${number}`;
          item.setAttribute("role", "option");
          item.setAttribute("aria-selected", "false");
          item.dataset.text = value;
          const left = document.createElement("code"), right = document.createElement("span");
          left.textContent = value;
          right.textContent = what;
          right.className = "quiet";
          item.append(left, right);
          item.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
          return item;
        }));
        at = -1;
        list.hidden = !lines.length || document.activeElement !== field;
        field.setAttribute("aria-expanded", String(!list.hidden));
      } catch { /* asked again, or gone */ }
    }
    field.addEventListener("input", () => { window.clearTimeout(timer); timer = window.setTimeout(ask, 120); });
    field.addEventListener("blur", close);
    field.addEventListener("keydown", (event) => {
      if (list.hidden) { if (event.key === "ArrowDown") { event.preventDefault(); ask(); } return; }
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(at + (event.key === "ArrowDown" ? 1 : -1)); }
      else if ((event.key === "Enter" && at >= 0) || (event.key === "Tab" && list.children.length)) { event.preventDefault(); take(list.children[Math.max(at, 0)]); }
      else if (event.key === "Escape") { event.stopPropagation(); close(); }
    });
  }

  // Keys ---------------------------------------------------------------------------------------------------------------

  const places = { o: "/", s: "/search", f: "/findings", v: "/vulns", a: "/alerts", j: "/jobs", n: "/nodes" };
  let prefix = 0;
  const rows = () => all("main tbody tr").filter((row) => row.querySelector("a[href], input[type=checkbox]"));
  function step(by) {
    const list = rows(), now = list.findIndex((row) => row.classList.contains("at"));
    if (!list.length) return;
    const next = list[Math.min(Math.max(now + by, 0), list.length - 1)];
    list[now]?.classList.remove("at");
    next.classList.add("at");
    next.scrollIntoView({ block: "nearest" });
    next.querySelector("a[href]")?.focus();
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { if (typing(document.activeElement)) document.activeElement.blur(); all("details.who[open]").forEach((one) => { one.open = false; }); return; }
    if (typing(event.target)) return;
    const row = document.querySelector("tr.at");
    if (Date.now() - prefix < 1500 && places[event.key]) { location.assign(places[event.key]); return; }
    prefix = event.key === "g" ? Date.now() : 0;
    if (event.key === "/") { event.preventDefault(); document.querySelector("[data-key='/']")?.focus(); }
    else if (event.key === "?") location.assign("/keyboard");
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "o" && row) row.querySelector("a[href]")?.click();
    else if (event.key === "x" && row) row.querySelector("input[type=checkbox]")?.click();
  });

  // Small things -------------------------------------------------------------------------------------------------------

  const spans = [["y", 31536000], ["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  function ages() {
    for (const one of all("time[datetime]")) {
      if (!/ ago$|^just now$/.test(one.textContent)) continue;
      const seconds = Math.floor((Date.now() - Date.parse(one.dateTime)) / 1000);
      const [unit, size] = spans.find(([, length]) => seconds >= length) || ["s", 1];
      one.textContent = seconds < 5 ? "just now" : `${Math.floor(seconds / size)} ${unit} ago`;
    }
  }
  window.setInterval(ages, 15000);

  async function copy(button) {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    window.setTimeout(() => { button.textContent = before; }, 1500);
  }

  async function lazy(element) {
    try {
      const got = await page(element.dataset.lazy);
      const fresh = got.document.getElementById(element.id);
      if (got.ok && fresh) replace(element, fresh);
    } catch { /* what stands there says how to get it by hand */ }
  }

  function poll(one) {
    window.setTimeout(async () => {
      if (!one.isConnected) return;
      if (!document.hidden) await refresh([one]);
      if (one.isConnected) poll(one);
    }, 1000 * Number(one.dataset.poll));
  }

  function begin(root) {
    const within = (selector) => [...(root.matches?.(selector) ? [root] : []), ...all(selector, root)];
    within("[data-copy]").forEach((one) => {
      if (!navigator.clipboard) return;
      one.hidden = false;
      one.addEventListener("click", () => copy(one));
    });
    within("[data-complete]").forEach(completing);
    within("[data-all]").forEach((one) => one.addEventListener("change", () => {
      all(`input[type=checkbox][name="${one.dataset.all}"]`, one.form || document).forEach((box) => { box.checked = one.checked; });
    }));
    within("[data-poll]").forEach(poll);
    within("[data-lazy]").forEach(lazy);
    within("[data-submit]").forEach((one) => one.addEventListener("change", () => one.form.requestSubmit()));
    within("[data-js]").forEach((one) => { one.hidden = false; });
  }
  begin(document);
  listen();
})();
