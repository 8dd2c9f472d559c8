//! Taking a request apart: the bearer token, where it came from, OAuth forms, JSON, pages.

pub(crate) mod bearer;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod origin;
pub(crate) mod page;
