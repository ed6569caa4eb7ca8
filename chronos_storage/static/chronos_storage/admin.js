/* What is long is loaded when it is opened. It is put in as text, never as markup. */
"use strict";

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
