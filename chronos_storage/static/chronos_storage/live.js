/* The page of a session that goes on refreshes itself: it asks now and then whether there is more, and takes from the page
   as it is by then what is new. What is open stays open, and what is being used is left alone until it isn't. */
"use strict";

{
    const SOON = 4000;
    const LATE = 30000;
    const control = document.querySelector("input[data-live]");
    const timeline = document.querySelector("ol.chronos-timeline");
    const source = (item) => item.outerHTML;
    const served = timeline && new Map([...timeline.children].map((item) => [item.id, source(item)]));

    /* Of each fold within an entry a name that it keeps. */
    const folds = (entry) => {
        const counts = {};
        return [...entry.querySelectorAll("details")].map((details) => {
            const name = `${details.closest("[id]").id} ${details.className}`;
            counts[name] = (counts[name] || 0) + 1;
            return [`${name} ${counts[name]}`, details];
        });
    };

    const isUsed = (entry) => {
        const selection = document.getSelection();
        return entry.contains(document.activeElement) || (!selection.isCollapsed && selection.containsNode(entry, true));
    };

    /* Whether all that is new could be put in. */
    const merge = (fresh) => {
        let whole = true;
        const present = new Map([...timeline.children].map((item) => [item.id, item]));
        let last = null;
        for (const item of [...fresh.children]) {
            const text = source(item);
            const old = present.get(item.id);
            present.delete(item.id);
            let shown = old;
            if (!old || served.get(item.id) !== text) {
                if (old && isUsed(old)) {
                    whole = false;
                } else {
                    shown = document.importNode(item, true);
                    if (old) {
                        const open = new Map(folds(old).map(([name, details]) => [name, details.open]));
                        for (const [name, details] of folds(shown)) {
                            details.open = open.has(name) ? open.get(name) : details.open;
                        }
                        old.replaceWith(shown);
                    }
                    served.set(item.id, text);
                }
            }
            if (!old) {
                last ? last.after(shown) : timeline.prepend(shown);
            }
            last = shown;
        }
        for (const gone of present.values()) {
            gone.remove();
        }
        return whole;
    };

    const renew = async () => {
        const answer = await fetch(location.href.split("#")[0], { credentials: "same-origin" });
        if (!answer.ok || answer.redirected) {
            throw new Error(answer.status);
        }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const name of [".chronos-header", ".chronos-before-pages", ".chronos-behind-pages"]) {
            const [old, fresh] = [document.querySelector(name), page.querySelector(name)];
            if (old && fresh && !isUsed(old)) {
                old.replaceChildren(...document.importNode(fresh, true).childNodes);
            }
        }
        document.dispatchEvent(new Event("chronos-renewed"));
        return merge(page.querySelector("ol.chronos-timeline"));
    };

    const watch = () => {
        let { mark } = control.dataset;
        let wait = SOON;
        const end = () => {
            control.checked = false;
            control.disabled = true;
        };
        const look = async () => {
            if (control.checked && !document.hidden) {
                try {
                    const answer = await fetch(control.dataset.live, { credentials: "same-origin" });
                    if (answer.redirected || answer.status === 403 || answer.status === 404) {
                        end();
                        return;
                    }
                    const state = await answer.json();
                    wait = Math.min(wait * 1.5, LATE);
                    if (state.mark !== mark && (await renew())) {
                        mark = state.mark;
                        wait = SOON;
                    }
                    if (!state.live && state.mark === mark) {
                        end();
                        return;
                    }
                } catch {
                    wait = LATE;
                }
            }
            setTimeout(look, wait);
        };
        control.closest("label").hidden = false;
        setTimeout(look, wait);
    };

    if (control && timeline) {
        watch();
    }
}
