// Goes on by itself where there is nothing to decide: posts the form, or follows the link once the frames have loaded.
// Without JavaScript the same button or link is there to press. Loaded with `defer`, so the document is whole.
// In the language of 2015: whoever cannot read a newer word would do nothing here, and wait for ever.
"use strict";
const form = document.querySelector("form[data-onwards]");
if (form) {
  form.submit();
}
const link = document.querySelector("a[data-onwards]");
if (link) {
  const go = () => location.replace(link.href);
  addEventListener("load", go);
  setTimeout(go, 5000);
}
