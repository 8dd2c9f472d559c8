//! Nothing: this crate is its tests: `e2e/` drives the whole server through HTTP, `faults/` kills the real program and takes
//! away what it stands on.
