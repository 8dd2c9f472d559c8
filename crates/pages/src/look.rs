//! A tenant's appearance for one answer: its name, branding, language, and where its files are.

use std::fmt::Write as _;

use domain::branding::{Accent, Branding, Colour, Corners, fingerprint};
use domain::language::Language;

use crate::assets::{Asset, shared};

/// How the pages of a tenant look to the one who reads them.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The tenant's name; [`Branding::display_name`] comes first.
    pub name: &'a str,
    pub branding: &'a Branding,
    /// The name of the logo's file ([`domain::branding::Logo::file_name`]); whoever serves files has its bytes.
    pub logo: Option<&'a str>,
    pub language: Language,
    /// The path of the issuer, such as `/t/acme`, or empty on a domain of the tenant's own. Files are under `{issuer_path}/assets/`.
    pub issuer_path: &'a str,
}

impl Look<'_> {
    /// The name to show.
    pub fn title(&self) -> &str {
        self.branding.display_name.as_ref().map_or(self.name, |name| name.as_str())
    }

    /// The tenant's style sheet: its colours as variables, for day and night.
    pub fn theme(&self) -> Asset {
        let css = theme(self.branding);
        let name = format!("theme-{:016x}.css", fingerprint(css.as_bytes()));
        Asset::new(name, "text/css; charset=utf-8", css.into_bytes())
    }

    /// The file under `{issuer_path}/assets/{name}`, if pages of this look refer to it; but not the logo, which the caller has.
    ///
    /// Files are found by their exact name only, so every answer may be cached for good.
    pub fn asset(&self, name: &str) -> Option<Asset> {
        if let Some(asset) = shared(name) {
            return Some(asset.clone());
        }
        Some(self.theme()).filter(|theme| theme.name() == name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}/assets/{name}", self.issuer_path)
    }
    pub(crate) fn stylesheet(&self) -> String {
        self.file(crate::assets::stylesheet().name())
    }
    pub(crate) fn script(&self) -> String {
        self.file(crate::assets::script().name())
    }
    pub(crate) fn theme_path(&self) -> String {
        self.file(self.theme().name())
    }
    pub(crate) fn logo_path(&self) -> Option<String> {
        self.logo.map(|logo| self.file(logo))
    }
    pub(crate) fn initial(&self) -> String {
        crate::form::initial(self.title())
    }
    pub(crate) fn login_title(&self) -> Option<&str> {
        Some(self.branding.texts_in(self.language)?.login_title.as_ref()?.as_str())
    }
    pub(crate) fn login_help(&self) -> Option<&str> {
        Some(self.branding.texts_in(self.language)?.login_help.as_ref()?.as_str())
    }
}

/// Only numbers and colours that were parsed get in here: nothing to escape.
fn theme(branding: &Branding) -> String {
    let (radius, inner) = match branding.corners {
        Corners::Square => (0, 0),
        Corners::Soft => (16, 8),
        Corners::Round => (28, 22),
    };
    let accent = branding.accent;
    let ground = branding.background.unwrap_or(Accent::PAPER_TINT);
    let mut css = String::new();
    let scheme = |fill: Colour, link: Colour| format!("--accent:{fill};--on-accent:{};--link:{link}", fill.ink());
    let _ = write!(
        css,
        ":root{{--radius:{radius}px;--radius-inner:{inner}px;--ground:{ground};--on-ground:{};--card:{};--fill:{};{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--ground:#121419;--on-ground:#d7dae2;--card:{};--fill:{};{}}}}}\n",
        ground.ink(),
        Accent::PAPER,
        Accent::PAPER_TINT,
        scheme(accent.by_day(), accent.link_by_day()),
        Accent::NIGHT,
        Accent::NIGHT_TINT,
        scheme(accent.by_night(), accent.link_by_night()),
    );
    css
}
