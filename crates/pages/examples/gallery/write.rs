//! Writes every page in every language as files, with its policy beside it.

use std::path::Path;

use domain::branding::{Branding, Corners, Texts};
use domain::language::Language;
use pages::{Look, assets};

#[path = "samples.rs"]
mod samples;

/// Fills the folder `root`; `index.html` names all pages.
pub(crate) fn gallery(root: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(root.join("assets"))?;
    let say = |text: &str| text.to_owned();
    let plain = Branding { terms: Some(samples::link("https://acme.example/terms")), ..Branding::default() };
    let branded = Branding {
        display_name: "Northwind Health".parse().ok(),
        accent: "#0f766e".parse().expect("is a colour"),
        background: "#e7f2ef".parse().ok(),
        corners: Corners::Round,
        texts: [(
            Language::English,
            Texts {
                login_title: "Welcome back".parse().ok(),
                login_help: "New here? Ask at the front desk for an invitation.\nMonday to Friday, 8 to 17 h.".parse().ok(),
            },
        )]
        .into(),
        support_email: "help@northwind.example".parse().ok(),
        terms: Some(samples::link("https://northwind.example/terms")),
        privacy: Some(samples::link("https://northwind.example/privacy")),
        ..Branding::default()
    };
    let mut index = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Gallery</title><ul>\n".to_owned();
    let mut write = |name: String, html: String, csp: String| {
        std::fs::write(root.join(format!("{name}.csp")), csp)?;
        index += &format!("<li><a href=\"{name}\">{name}</a></li>\n");
        std::fs::write(root.join(&name), html)
    };
    for (kind, branding) in [("plain", &plain), ("branded", &branded)] {
        for language in Language::ALL {
            let look = Look { name: "Acme", branding, logo: None, language, issuer_path: "." };
            for (name, page) in samples::pages(&say) {
                write(format!("{kind}.{}.{name}.html", language.tag()), page.html(&look), page.csp())?;
            }
            for (name, mail) in samples::mails(&say) {
                write(format!("{kind}.{}.{name}.html", language.tag()), mail.mail(&look).html, "style-src 'unsafe-inline'".to_owned())?;
            }
            let theme = look.theme();
            std::fs::write(root.join("assets").join(theme.name()), theme.bytes())?;
        }
    }
    for asset in assets() {
        std::fs::write(root.join("assets").join(asset.name()), asset.bytes())?;
    }
    std::fs::write(root.join("index.html"), index)
}
