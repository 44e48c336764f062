// A table of class tpl-sortable sorts by a press on a column's head: numbers as numbers, largest first, and an empty cell
// among them as more than any. Tables of numbers come from tpl.tables.SortableTable; without this script they are plain.
document.addEventListener("DOMContentLoaded", () => {
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = words => words === "" ? Infinity : Number(words.replace(/[,%\s]/g, "").replace("\u2212", "-"));

  for (const table of document.querySelectorAll("table.tpl-sortable")) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const area = table.parentElement;
    area.classList.add("tpl-sortable-area");
    area.tabIndex = 0; // a keyboard scrolls it
    area.setAttribute("role", "region");
    const caption = [...table.querySelectorAll(".caption-number, .caption-text")].map(part => part.textContent.trim());
    area.setAttribute("aria-label", caption.join(" ") || "table");

    const sorted = (column, direction) => {
      heads.forEach((head, place) => {
        if (place === column) head.setAttribute("aria-sort", direction);
        else head.removeAttribute("aria-sort");
      });
    };
    const sort = (column, numeric) => {
      const first = numeric ? "descending" : "ascending", second = numeric ? "ascending" : "descending";
      const direction = heads[column].getAttribute("aria-sort") === first ? second : first;
      const sign = direction === "ascending" ? 1 : -1;
      const compare = numeric
        ? (a, b) => (a === b ? 0 : a < b ? -1 : 1)
        : (a, b) => a.localeCompare(b, undefined, { numeric: true });
      const keyed = [...body.rows].map(row => [numeric ? number(text(row, column)) : text(row, column), row]);
      keyed.sort(([a], [b]) => sign * compare(a, b)); // stable: the order by an earlier column stays within ties
      body.append(...keyed.map(([, row]) => row));
      sorted(column, direction);
    };

    heads.forEach((head, column) => {
      const cells = [...body.rows].map(row => text(row, column));
      const numeric = cells.some(cell => cell !== "") && !cells.some(cell => Number.isNaN(number(cell)));
      const button = document.createElement("button");
      button.type = "button";
      button.append(...(head.querySelector(":scope > p") ?? head).childNodes); // a button holds no paragraph
      button.addEventListener("click", () => sort(column, numeric));
      head.replaceChildren(button);
      if (table.classList.contains(`tpl-sorted-${column}`)) sorted(column, "descending");
    });
  }
});
