//! Pairwise subjects (OpenID Connect Core, 8): each sector of clients knows a user by a name of its own.

use serde_json::{Value, json};
use server::Settings;

use crate::browser::Browser;
use crate::oidc::{CALLBACK, Shop, claims, client, code, shop, told};
use crate::registration::registration;
use crate::relying_party::RelyingParty;
use crate::world::{Answer, World, in_world, in_world_with};

const REGISTER: &str = "/t/acme/oauth/register";

async fn tokens(world: &World, shop: &Shop) -> Answer {
    let mut browser = Browser::new(&world.base_url);
    let code = code(&mut browser, shop, &[]).await;
    shop.redeem(world, &code).await.is(200)
}

fn sub(token: &str) -> String {
    claims(token)["sub"].as_str().expect("a subject").to_owned()
}

#[test]
fn s121_each_sector_knows_a_user_by_a_name_of_its_own_that_works_everywhere() {
    in_world(async |world| {
        let shop = shop(world, json!({ "subject_type": "pairwise" })).await;
        let same_sector = client(world, json!({ "subject_type": "pairwise" })).await;
        let public = client(world, json!({})).await;
        let mine = tokens(world, &shop).await;
        let name = sub(&mine.word("id_token"));
        assert!(name.starts_with("pws_"), "{name}");
        assert_eq!(sub(&mine.word("access_token")), name, "the client can read it, too");
        assert_eq!(sub(&tokens(world, &same_sector).await.word("id_token")), name);
        let user = sub(&tokens(world, &public).await.word("id_token"));
        assert!(user.starts_with("usr_"));
        for token in ["id_token", "access_token"] {
            assert!(!claims(&mine.word(token)).to_string().contains(&user), "{token}");
        }

        let info = world.bearing(&mine.word("access_token")).get("/t/acme/oauth/userinfo").await.is(200);
        assert_eq!(info.word("sub"), name);
        for token in ["access_token", "refresh_token"] {
            let known = world.platform_admin().form("/t/acme/oauth/introspect", &[("token", &mine.word(token))]).await.is(200);
            assert_eq!((known.word("sub"), known.json()["active"].as_bool()), (name.clone(), Some(true)));
        }
        let renewed = shop.refresh(world, &mine.word("refresh_token")).await.is(200);
        assert_eq!(sub(&renewed.word("id_token")), name);

        // As a hint it names the user.
        let mut browser = Browser::new(&world.base_url);
        code(&mut browser, &shop, &[]).await;
        let page = browser.get(&shop.request(&[("prompt", "none"), ("id_token_hint", &mine.word("id_token"))])).await;
        assert!(told(&page).contains_key("code"));
        let bye = format!("/t/acme/oauth/end_session?id_token_hint={}", mine.word("id_token"));
        browser.get(&bye).await.is(200);
        let page = browser.get(&shop.request(&[("prompt", "none")])).await;
        assert_eq!(told(&page)["error"], "login_required", "logged out without a question");
    });
}

#[test]
fn s121_a_sector_of_several_hosts_lists_every_redirect_uri() {
    let open = |settings: &mut Settings| settings.outbound.allow_private = vec!["127.0.0.0/8".parse().expect("a range")];
    in_world_with(open, async |world| {
        shop(world, json!({})).await;
        registration(world, json!({ "access": "open" })).await;
        let party = RelyingParty::start().await;
        let other = "https://stall.example/cb";
        let metadata = |more: Value| {
            let mut members = json!({ "redirect_uris": [CALLBACK, other], "subject_type": "pairwise", "token_endpoint_auth_method": "client_secret_post" });
            members.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            members
        };
        let sector = json!({ "sector_identifier_uri": format!("{}/uris.json", party.url) });
        world.anon().post(REGISTER, metadata(json!({}))).await.refused_oauth(400, "invalid_client_metadata");
        for document in [json!([CALLBACK]), json!([]), json!({}), json!([CALLBACK, format!("{other}/")]), json!([CALLBACK, 1])] {
            party.show_document(document);
            world.anon().post(REGISTER, metadata(sector.clone())).await.refused_oauth(400, "invalid_client_metadata");
        }
        party.show_document(json!(["https://third.example/cb", other, CALLBACK]));
        let made = world.anon().post(REGISTER, metadata(sector.clone())).await.is(201);
        assert_eq!(made.json()["sector_identifier_uri"], sector["sector_identifier_uri"]);
        party.show_document(json!([CALLBACK]));
        let path = made.word("registration_client_uri").strip_prefix(&world.base_url).expect("ours").to_owned();
        let mut again = metadata(sector.clone());
        again["client_id"] = json!(made.word("client_id"));
        let own = made.word("registration_access_token");
        world.bearing(&own).put(&path, again).await.refused_oauth(400, "invalid_client_metadata");
        let admins = json!({ "redirect_uris": [CALLBACK, other], "subject_type": "pairwise", "sector_identifier_uri": sector["sector_identifier_uri"] });
        world.platform_admin().post("/admin/v1/tenants/acme/clients", admins).await.refused(422, "invalid_client_metadata");
    });
}
