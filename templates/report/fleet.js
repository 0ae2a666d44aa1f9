
(() => {
  const bar = document.querySelector(".filter"), table = document.querySelector("table"), body = table.tBodies[0];
  const [filter, show, sort, count] = ["filter", "show", "sort", "count"].map(id => document.getElementById(id));
  const rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const words = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const wanted = row => show.value === "attention" ? "attention" in row.dataset : !show.value || row.dataset.state === show.value;
  const apply = () => {
    const asked = filter.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !wanted(row) || !asked.every(word => words.get(row).includes(word));
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
  };
  const order = () => {
    const place = sort.value === "" ? -1 : Number(sort.value);
    const key = row => row.cells[place].dataset.key;
    const down = heads[place]?.dataset.down === "yes" ? -1 : 1;
    heads.forEach((head, at) => head.setAttribute("aria-sort", at !== place ? "none" : down < 0 ? "descending" : "ascending"));
    const compare = new Intl.Collator("en", {numeric: true}).compare;
    body.append(...(place < 0 ? rows : [...rows].sort((a, b) => down * compare(key(a), key(b)))));
  };
  heads.forEach((head, place) => {
    sort.add(new Option(head.textContent, place));
    head.dataset.down = ["cost a day", "last run"].includes(head.textContent) ? "yes" : "no";
    head.addEventListener("click", () => {
      if (sort.value === String(place)) head.dataset.down = head.dataset.down === "yes" ? "no" : "yes";
      sort.value = place;
      order();
    });
  });
  filter.addEventListener("input", apply);
  show.addEventListener("change", apply);
  sort.addEventListener("change", order);
  bar.hidden = false;
  apply();
})();
