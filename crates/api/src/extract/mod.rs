//! Taking a request apart: what its address names, its cookies, where it came from, OAuth forms, JSON, pages.

pub(crate) mod address;
pub(crate) mod cookie;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod origin;
pub(crate) mod page;
