//! Finding tenants by the beginning of their slug or name, over the admin API.
//!
//! Invariant: every tenant that fits is found once, on whatever page.

use serde_json::json;

use crate::world::{World, in_world};

/// All that a search finds, page by page, and how many pages there were.
async fn found(world: &World, search: &str, limit: usize) -> (Vec<String>, usize) {
    let (mut slugs, mut pages, mut query) = (Vec::new(), 0, format!("search={search}&limit={limit}"));
    loop {
        let page = world.platform_admin().get(&format!("/admin/v1/tenants?{query}")).await.is(200).json();
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit, "{page}");
        slugs.extend(items.iter().map(|tenant| tenant["slug"].as_str().expect("a slug").to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => query = format!("search={search}&limit={limit}&after={next}"),
            None => return (slugs, pages),
        }
    }
}

#[test]
fn tenants_are_found_by_the_beginning_of_their_slug_or_name() {
    in_world(async |world| {
        let admin = world.platform_admin();
        for (slug, name) in [("acme", "Acme"), ("acme-eu", "Acme Europe"), ("zebra", "ACME Zebras"), ("beta", "Beta"), ("ac", "Éclair")] {
            admin.post("/admin/v1/tenants", json!({ "slug": slug, "name": name })).await.is(201);
        }
        for limit in [1, 2, 3, 4, 50] {
            assert_eq!(found(world, "Acme", limit).await.0, ["acme", "acme-eu", "zebra"], "first by slug, then by name; {limit} a page");
        }
        assert_eq!(found(world, "acme%20e", 50).await, (vec!["acme-eu".to_owned()], 1));
        assert_eq!(found(world, "%C3%A9CL", 50).await, (vec!["ac".to_owned()], 1), "in whatever case");
        assert_eq!(found(world, "cme", 50).await, (vec![], 1), "the beginning only");
        for bad in ["search=", "search=%00", "search=a&after=x", "search=a&after=n.a.AA", "search=a&limit=0"] {
            admin.get(&format!("/admin/v1/tenants?{bad}")).await.refused(400, "bad_request");
        }
        admin.get(&format!("/admin/v1/tenants?search={}", "a".repeat(101))).await.refused(400, "bad_request");
    });
}
