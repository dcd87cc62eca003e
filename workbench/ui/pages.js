// What the pages do in the browser beside Gradio: light or dark, local times, and taking the viewer to a structure.
(function () {
  "use strict";
  const stored = () => { try { return localStorage.getItem("workbench-theme"); } catch { return null; } };
  const system = matchMedia("(prefers-color-scheme: dark)");

  function applyTheme() {
    const dark = (stored() || (system.matches ? "dark" : "light")) === "dark";
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    if (document.body && document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
  }

  // The gateway keeps what a page shows until it hears that the page has gone; the address of its messages names the page.
  window.addEventListener("pagehide", (event) => {
    const messages = performance.getEntriesByType("resource").find((one) => one.name.includes("/gradio_api/queue/data?"));
    const session = messages && new URL(messages.name).searchParams.get("session_hash");
    if (session && !event.persisted) navigator.sendBeacon(`/gradio_api/closed?session_hash=${encodeURIComponent(session)}`);
  });

  function localTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const when = new Date(time.getAttribute("datetime"));
      if (!Number.isNaN(when.getTime())) time.title = when.toLocaleString();
      time.dataset.local = "yes";
    }
  }

  async function whoAmI() {
    const place = document.querySelector("[data-me]:not([data-known])");
    if (!place) return;
    place.dataset.known = "yes";
    try {
      const answer = await fetch("/auth/me", { credentials: "same-origin" });
      if (!answer.ok) return;
      const me = await answer.json();
      place.textContent = me.name;
      for (const link of document.querySelectorAll("[data-owner]")) link.hidden = me.role !== "owner";
    } catch { /* the name is a nicety */ }
  }

  // Notifications: asked for now and then while the page is looked at. One is read when it is opened or marked as read.
  async function news() {
    const place = document.querySelector("[data-news]");
    if (!place || document.hidden) return;
    try {
      const answer = await fetch("/notifications", { credentials: "same-origin" });
      if (!answer.ok) return;
      const said = await answer.json();
      const count = place.querySelector("[data-unread]");
      count.hidden = !said.unread;
      count.textContent = said.unread > 99 ? "99+" : said.unread;
      place.querySelector("summary").setAttribute("aria-label", said.unread ? `Notifications, ${said.unread} unread` : "Notifications");
      const shown = JSON.stringify(said);
      const list = place.querySelector("[data-notices]");
      if (list.dataset.shown === shown || !said.notifications.length) return;
      list.dataset.shown = shown;
      list.replaceChildren(...notices(said));
    } catch { /* the gateway is being restarted: asked again soon */ }
  }
  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }
  function notices(said) {
    const head = element("p", { className: "wb-news-head" }, element("strong", {}, "Notifications"));
    if (said.unread) {
      const all = element("button", { type: "button", className: "wb-link" }, "Mark all as read");
      all.dataset.readAll = "";
      head.append(all);
    }
    return [head, ...said.notifications.map((one) => {
      const time = new Date(one.created_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      const link = element("a", { href: one.link }, one.text, element("small", {}, time));
      const row = element("div", { className: one.read ? "wb-notice" : "wb-notice unread" }, link);
      if (one.read) return row;
      link.dataset.opens = one.id;
      const read = element("button", { type: "button", title: "Mark as read" }, "✓");
      read.setAttribute("aria-label", "Mark as read");
      read.dataset.read = one.id;
      row.append(read);
      return row;
    })];
  }
  const readNews = (which) => fetch("/notifications/read", {
    method: "POST", credentials: "same-origin", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify(which),
  }).then(news, () => {});

  function show(labels, mm) {
    const viewer = document.getElementById("viewer");
    if (!viewer) return;
    viewer.contentWindow.postMessage({ type: "workbench:show", labels, mm }, location.origin);
    const box = viewer.getBoundingClientRect();
    if (box.top < 0 || box.top > innerHeight * 0.6) viewer.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const wanted = target.closest("[data-show]");
    if (wanted) {
      show(wanted.dataset.show.split(",").map(Number), wanted.dataset.mm ? wanted.dataset.mm.split(",").map(Number) : null);
      return;
    }
    if (target.closest("[data-theme-toggle]")) {
      const dark = !document.body.classList.contains("dark");
      try { localStorage.setItem("workbench-theme", dark ? "dark" : "light"); } catch { /* kept for this page only */ }
      document.documentElement.style.colorScheme = dark ? "dark" : "light";
      document.body.classList.toggle("dark", dark);
      return;
    }
    if (target.closest(".wb-skip")) {  // the page has a base address: the link alone would lead to the home page
      event.preventDefault();
      document.getElementById("content")?.focus();
      document.getElementById("content")?.scrollIntoView({ block: "start" });
      return;
    }
    if (target.closest("[data-read-all]")) return void readNews({});
    const read = target.closest("[data-read]") || target.closest("[data-opens]");
    if (read) readNews({ id: read.dataset.read || read.dataset.opens });
    if (read?.dataset.read) return;
    for (const menu of document.querySelectorAll("details.wb-menu[open]")) if (!menu.contains(target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("details.wb-menu[open]").forEach((menu) => { menu.open = false; });
  });
  window.addEventListener("popstate", () => location.reload());
  system.addEventListener("change", applyTheme);

  window.workbenchOpenJob = (job) => {
    // The address names the job, so that a reload, a bookmark or a restart comes back to it.
    if (job && new URLSearchParams(location.search).get("job") !== job) history.pushState({}, "", `/imaging?job=${encodeURIComponent(job)}`);
    if (job) window.scrollTo({ top: 0 });
  };

  function title() {
    const heading = [...document.querySelectorAll("h1")].find((h) => h.offsetParent !== null);
    const wanted = heading && location.pathname !== "/" ? `${heading.textContent} · Workbench` : "Workbench";
    if (document.title !== wanted) document.title = wanted;
  }

  // On a narrow screen the bar scrolls: the page that one is on is brought into sight, and again whenever the room for
  // the links changes (the styles or a person's name come after the bar, the screen is turned).
  function bar() {
    const here = document.querySelector(".wb-bar nav a[aria-current]:not([data-seen])");
    if (!here) return;
    here.dataset.seen = "yes";
    const nav = here.parentElement;
    const room = new ResizeObserver(() => { nav.scrollLeft = here.offsetLeft - nav.offsetLeft - 48; });
    room.observe(nav);
    room.observe(here);
  }

  let waiting = false;
  const settle = () => { waiting = false; applyTheme(); localTimes(document); whoAmI(); title(); bar(); };
  const start = () => {
    settle();
    setTimeout(news, 400);
    setInterval(news, 5000);
    document.addEventListener("visibilitychange", news);
    new MutationObserver(() => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(settle);
    }).observe(document.body, { childList: true, subtree: true });
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
