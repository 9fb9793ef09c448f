// What scrolls sideways can be reached and scrolled with the keyboard (WCAG 2.1.1).
document$.subscribe(() => {
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
    each.tabIndex = 0;
  }
});
