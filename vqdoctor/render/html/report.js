"use strict";
// What the page does beyond being read: copy, sort, search, light or dark, print, save. It writes text only, never markup.
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];

  const copyText = async (text, from) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(from);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      return document.execCommand("copy");
    }
  };
  for (const button of all(".copy")) {
    const code = button.parentElement.querySelector("code");
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.textContent = (await copyText(code.textContent, code)) ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim();
  };
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number" || typeof b === "number") return typeof a === "number" ? 1 : -1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  for (const table of all("table.codes")) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = all("tbody tr", table).map((row) => [valueOf(row, column), row]);
        rows.sort(([a], [b]) => (down ? order(b, a) : order(a, b)));
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }

  for (const field of all("input[type=search]")) {
    const holder = field.closest(".search");
    const rows = all("tbody tr", document.getElementById(field.dataset.table));
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent.toLowerCase()));
    holder.hidden = false;
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      const exact = /^\d+$/.test(wanted);
      let shown = 0;
      rows.forEach((row, i) => {
        const hit = !wanted || texts[i].some((text) => (exact ? text === wanted : text.includes(wanted)));
        row.hidden = !hit;
        shown += hit;
      });
      holder.querySelector("output").textContent = wanted ? `${shown} of ${rows.length} codes` : "";
    });
  }

  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const tell = () => theme.setAttribute("aria-pressed", String(dark()));
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("vqdoctor-theme", value);
      return localStorage.getItem("vqdoctor-theme");
    } catch {
      return null;
    }
  };
  if (["light", "dark"].includes(stored())) root.dataset.theme = stored();
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    stored(root.dataset.theme);
    tell();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();

  const save = document.getElementById("save");
  if (save) {
    save.hidden = false;
    save.addEventListener("click", () => {
      const told = JSON.parse(document.getElementById("report-data").textContent);
      const whole = told.length === 1 ? told[0] : { schema: "vqdoctor.reports/1", reports: told };
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
      link.download = "vqdoctor-report.json";
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])").filter((each) => !each.querySelector("table.codes"));
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
})();
