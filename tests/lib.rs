//! Nothing: this crate is its tests, `e2e/`, which drive the whole server through HTTP.
