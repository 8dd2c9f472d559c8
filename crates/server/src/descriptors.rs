//! File descriptors: as many as this process may have.
//!
//! Shells and service managers start processes with a low soft limit (often 1,024) below a high hard one, for the sake of programs
//! that cannot count further. Running out of them would hurt the database's files as well as new connections.

/// Raises the soft limit to the hard one, and warns when even that is too little for `connections` connections.
#[cfg(unix)]
pub(crate) fn raise(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = if raised.is_ok() { limit.maximum } else { limit.current };
    // Two for each connection, and some for the database, its pool and the listeners.
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(256);
    if allowed.is_some_and(|allowed| allowed < needed) {
        tracing::warn!(
            "this process may open {} files, but server.max_connections needs {needed}: raise the limit (LimitNOFILE=, ulimit -Hn) or \
             lower server.max_connections",
            allowed.unwrap_or(0)
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn raise(_: usize) {}
