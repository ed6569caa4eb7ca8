"use strict";

/* What is long is loaded when it is opened. It is put in as text, never as markup. */

document.addEventListener(
    "toggle",
    async (event) => {
        const details = event.target;
        if (!details.open || !details.dataset.load) {
            return;
        }
        const address = details.dataset.load;
        delete details.dataset.load;
        const shown = details.querySelector("pre");
        shown.setAttribute("aria-busy", "true");
        try {
            const answer = await fetch(address, { credentials: "same-origin" });
            if (!answer.ok || answer.redirected) {
                throw new Error(answer.status);
            }
            shown.textContent = await answer.text();
        } catch {
            details.dataset.load = address;
        } finally {
            shown.removeAttribute("aria-busy");
        }
    },
    true,
);

/* On narrow screens a row is a list of its cells, each after its column's name. */
function label(table) {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    if (names.length === 0) {
        return;
    }
    for (const row of table.querySelectorAll("tbody tr")) {
        for (const [place, cell] of [...row.children].entries()) {
            if (names[place]) {
                cell.dataset.label = names[place];
            }
        }
    }
    table.classList.add("chronos-labelled");
}

document.addEventListener("DOMContentLoaded", () => {
    document
        .querySelectorAll("#result_list, .chronos table:not(.chronos-waterfall, .chronos-differences, .chronos-counts)")
        .forEach(label);
});

/* What a session's header says of its chains is worked out when the page is there already. */
const sayVerdict = async () => {
    const link = document.querySelector("a[data-verdict]");
    if (!link) {
        return;
    }
    try {
        const answer = await fetch(`${link.href}?brief=1`, { credentials: "same-origin" });
        const verdict = await answer.json();
        link.textContent = verdict.text;
        link.classList.add(verdict.intact ? "chronos-good" : "chronos-bad");
    } catch {
        /* The link leads to the page that works it out. */
    }
};
document.addEventListener("DOMContentLoaded", sayVerdict);
document.addEventListener("chronos-renewed", sayVerdict);
