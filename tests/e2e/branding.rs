//! How a tenant's pages look: what its administrators may decide, and what everybody gets.
//!
//! Invariant: a file's name changes with its content; what is not named by a page is not found.

use serde_json::{Value, json};

use crate::world::{Answer, Caller, in_world, sent};

const BRANDING: &str = "/admin/v1/tenants/acme/branding";
const LOGO: &str = "/admin/v1/tenants/acme/branding/logo";
/// The beginning of a picture; no byte of it needs more than ASCII, so that answers can be read as text.
const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 ....";

async fn put_logo(caller: &Caller<'_>, bytes: &[u8]) -> Answer {
    sent(caller.request("PUT", LOGO).header("content-type", "application/octet-stream").body(bytes.to_vec())).await
}

#[test]
fn a_tenant_decides_how_it_looks_and_a_colour_that_nobody_could_read_is_refused_with_the_reason() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let admin = world.tenant_admin("acme").await;
        let admin = world.bearing(&admin.access_token);
        let first = admin.get(BRANDING).await.is(200).json();
        assert_eq!((&first["branding"]["accent"], &first["logo_url"]), (&json!("#1f4fd8"), &Value::Null));

        let wanted = json!({
            "display_name": "Acme Health", "accent": "#b00020", "background": "#fff8f0", "corners": "round", "default_language": "de",
            "texts": { "de": { "login_title": "Willkommen", "login_help": "Fragen?\nRuf an." } },
            "support_email": "help@acme.example", "terms": "https://acme.example/terms", "privacy": null,
        });
        assert_eq!(admin.put(BRANDING, wanted.clone()).await.is(200).json()["branding"], wanted);
        assert_eq!(admin.get(BRANDING).await.is(200).json()["branding"], wanted);
        let unreadable = admin.put(BRANDING, json!({ "accent": "#ffee00" })).await.refused(400, "bad_request");
        assert!(unreadable.word("detail").contains("3:1"), "{}", unreadable.text);
        for refused in [
            json!({ "css": "body{}" }),
            json!({ "terms": "javascript:alert(1)" }),
            json!({ "texts": { "xx": {} } }),
            json!({ "background": "red" }),
            json!({ "display_name": "\u{202e}" }),
        ] {
            admin.put(BRANDING, refused).await.refused(400, "bad_request");
        }
        assert_eq!(admin.get(BRANDING).await.is(200).json()["branding"], wanted, "what was refused changed nothing");
        let of_globex = world.platform_admin().get("/admin/v1/tenants/globex/branding").await.is(200).json();
        assert_eq!(of_globex, first, "another tenant's");
        let events = admin.get("/admin/v1/tenants/acme/events").await.is(200).text;
        assert!(events.contains(r#"["branding"]"#), "{events}");
    });
}

#[test]
fn a_logo_is_a_picture_that_everybody_may_keep_for_good_until_it_has_another_name() {
    in_world(async |world| {
        world.tenant("acme").await;
        world.tenant("globex").await;
        let admin = world.platform_admin();
        admin.put(BRANDING, json!({ "accent": "#b00020" })).await.is(200);
        let stored = put_logo(&admin, WEBP).await.is(200);
        assert_eq!(stored.json()["branding"]["accent"], "#b00020", "a logo changes nothing else");
        let url = stored.word("logo_url");
        let path = url.strip_prefix(&world.base_url).expect("under the issuer").to_owned();
        assert!(path.starts_with("/t/acme/assets/logo-") && path.ends_with(".webp"), "{path}");

        let served = world.anon().get(&path).await.is(200);
        assert_eq!(served.text.as_bytes(), WEBP);
        assert_eq!(served.header("content-type"), "image/webp");
        assert_eq!(served.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(served.header("x-content-type-options"), "nosniff");
        assert_eq!(served.header("content-security-policy"), "default-src 'none'; sandbox");
        world.anon().get(&path.replace("acme", "globex")).await.refused(404, "not_found");

        for bad in [b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), b"GIF89a".to_vec(), Vec::new()] {
            put_logo(&admin, &bad).await.refused(400, "bad_request");
        }
        put_logo(&admin, &[WEBP, &vec![b'.'; 65_536]].concat()).await.refused(413, "too_large");
        assert_eq!(admin.get(BRANDING).await.is(200).word("logo_url"), url);

        let other = put_logo(&admin, &[WEBP, b"."].concat()).await.is(200).word("logo_url");
        assert_ne!(other, url);
        world.anon().get(&path).await.refused(404, "not_found");
        admin.delete(LOGO).await.is(204);
        assert_eq!(admin.get(BRANDING).await.is(200).json()["logo_url"], Value::Null);
        world.anon().get(other.strip_prefix(&world.base_url).expect("under the issuer")).await.refused(404, "not_found");
    });
}

#[test]
fn the_files_of_the_pages_are_served_under_the_names_that_pages_have() {
    in_world(async |world| {
        world.tenant("acme").await;
        for asset in pages::assets() {
            let served = world.anon().get(&format!("/t/acme/assets/{}", asset.name())).await.is(200);
            assert_eq!(served.text.as_bytes(), asset.bytes());
            assert_eq!((served.header("content-type"), served.header("etag")), (asset.content_type(), asset.etag().as_str()));
        }
        world.platform_admin().put(BRANDING, json!({ "accent": "#b00020" })).await.is(200);
        let branding = serde_json::from_value(json!({ "accent": "#b00020" })).expect("is valid");
        let language = domain::language::Language::German;
        let theme = pages::Look { name: "Acme", branding: &branding, logo: None, language, issuer_path: "/t/acme" }.theme();
        let served = world.anon().get(&format!("/t/acme/assets/{}", theme.name())).await.is(200);
        assert!(served.text.contains("--accent:#b00020"), "{}", served.text);
        for unknown in ["theme-0000000000000000.css", "pages.css", "..%2f..%2fopenapi.json", "%00"] {
            world.anon().get(&format!("/t/acme/assets/{unknown}")).await.refused(404, "not_found");
        }
    });
}
