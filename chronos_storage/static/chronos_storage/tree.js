/* The rows of a tree that are inside of a row are folded away and shown by its button. */
"use strict";

function show(table) {
    let folded = Infinity; // how deep the row is of which nothing inside is shown
    for (const row of table.querySelectorAll("tr[data-depth]")) {
        const depth = Number(row.dataset.depth);
        row.hidden = depth > folded;
        if (!row.hidden) {
            const button = row.querySelector("button.chronos-fold");
            folded = button && button.getAttribute("aria-expanded") === "false" ? depth : Infinity;
        }
    }
}

for (const button of document.querySelectorAll("button.chronos-fold")) {
    button.hidden = false;
    button.addEventListener("click", () => {
        button.setAttribute("aria-expanded", String(button.getAttribute("aria-expanded") === "false"));
        show(button.closest("table"));
    });
}
