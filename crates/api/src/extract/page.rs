//! Paging: `?limit=` (1 to 200, default 50) and `?after=` with the cursor of the page before.

use serde::{Deserialize, Serialize};

use crate::error::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    pub(crate) limit: Option<String>,
    pub(crate) after: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.as_deref().map_or(Ok(50), str::parse) {
            Ok(limit @ 1..=200) => Ok(limit),
            _ => Err(Problem::bad_request("limit must be 1 to 200")),
        }
    }

    pub(crate) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        let parse = |text: &String| text.parse().map_err(|_| Problem::bad_request("after must be the 'next' of the page before"));
        self.after.as_ref().map(parse).transpose()
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of what was read; `cursor` names the last item.
    pub(crate) fn new<R>(rows: Vec<R>, limit: u32, cursor: impl Fn(&R) -> String, show: impl Fn(R) -> T) -> Self {
        let next = if rows.len() == limit as usize { rows.last().map(cursor) } else { None };
        Self { items: rows.into_iter().map(show).collect(), next }
    }
}
