//! Finding tenants by the beginning of their slug or name, page by page.
//!
//! First come those whose slug begins so, by slug; then those whose name does, by name. Each part is a walk along an index, so
//! that a page costs the same among ten tenants and among a million.
//!
//! Invariant: a page reads at most `limit` rows, so one of the second part may be short, because what the first part has shown
//! is left out. The end is where there is no next page.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::tenant::Tenant;
use domain::text::{BadText, DisplayName, Slug};

use crate::ctx::Ctx;
use crate::fault::Fault;

/// What is looked for: 1 to 100 characters, in whatever case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl FromStr for Prefix {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let name: DisplayName = text.parse().map_err(|_| BadText("search is 1 to 100 characters without control characters"))?;
        Ok(Self(name.key()))
    }
}

impl Prefix {
    /// The prefix, if a slug can begin so.
    fn of_slug(&self) -> Option<&str> {
        let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        Some(self.0.as_str()).filter(|text| text.len() <= 63 && text.chars().all(is_slug))
    }
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Among those that were found by their slug.
    Slug(Slug),
    /// Among those that were found by their name, at this key of it.
    Name { key: String, slug: Slug },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slug(slug) => write!(f, "s.{slug}"),
            Self::Name { key, slug } => write!(f, "n.{slug}.{}", URL_SAFE_NO_PAD.encode(key)),
        }
    }
}

impl FromStr for Place {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let refused = || BadText("no place in a list");
        match text.split_once('.').ok_or_else(refused)? {
            ("s", slug) => Ok(Self::Slug(slug.parse()?)),
            ("n", rest) => {
                let (slug, key) = rest.split_once('.').ok_or_else(refused)?;
                let key = URL_SAFE_NO_PAD.decode(key).ok().and_then(|key| String::from_utf8(key).ok()).ok_or_else(refused)?;
                // PostgreSQL takes no NUL in a text.
                if key.contains('\0') { Err(refused()) } else { Ok(Self::Name { key, slug: slug.parse()? }) }
            }
            _ => Err(refused()),
        }
    }
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub tenants: Vec<Tenant>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

/// Tenants whose slug or name begins with `prefix`, after `after`.
///
/// # Errors
/// When the database is away.
pub async fn tenants(ctx: &Ctx, prefix: &Prefix, after: Option<Place>, limit: u32) -> Result<Found, Fault> {
    let mut tx = ctx.store.begin_platform().await?;
    let mut tenants = Vec::new();
    let (after_slug, after_name) = match after {
        Some(Place::Name { key, slug }) => (None, Some((key, slug))),
        Some(Place::Slug(slug)) => (Some(slug), None),
        None => (None, None),
    };
    if let (Some(of_slug), None) = (prefix.of_slug(), &after_name) {
        tenants = tx.tenants_by_slug_prefix(of_slug, after_slug.as_ref(), limit).await?;
        if tenants.len() == limit as usize {
            let next = tenants.last().map(|last| Place::Slug(last.slug.clone()));
            return Ok(Found { tenants, next });
        }
    }
    let room = limit - u32::try_from(tenants.len()).unwrap_or(0);
    let after_name = after_name.as_ref().map(|(key, slug)| (key.as_str(), slug));
    let named = tx.tenants_by_name_prefix(&prefix.0, after_name, room).await?;
    let is_full = named.len() == room as usize;
    let next = named.last().filter(|_| is_full).map(|last| Place::Name { key: last.name.key(), slug: last.slug.clone() });
    let is_new = |tenant: &Tenant| prefix.of_slug().is_none_or(|of_slug| !tenant.slug.as_str().starts_with(of_slug));
    tenants.extend(named.into_iter().filter(is_new));
    Ok(Found { tenants, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_text() {
        let slug: Slug = "acme-1".parse().expect("a slug");
        for place in [Place::Slug(slug.clone()), Place::Name { key: "émile & söhne.".to_owned(), slug }] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", "acme", "s.", "s.Acme", "n.acme", "n.acme.!", "n..YQ", "n.acme.AA", "x.acme"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slug_is_looked_for_only_where_one_could_begin_so() {
        let of_slug = |text: &str| text.parse::<Prefix>().expect("fit").of_slug().map(str::to_owned);
        assert_eq!(of_slug("Acme-2").as_deref(), Some("acme-2"));
        assert_eq!(of_slug("acme inc"), None);
        assert!("".parse::<Prefix>().is_err() && "a\u{202e}".parse::<Prefix>().is_err());
    }
}
