//! The `openidconnect` crate, another implementation in our own language, logs a user in with nothing but the issuer's address and its
//! registration.

use std::collections::BTreeMap;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IdTokenVerifier, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use serde_json::json;
use url::Url;

use crate::browser::Browser;
use crate::oidc::{logged_in, shop};
use crate::world::in_world;

const CALLBACK: &str = "https://shop.example/callback";

/// Sends the crate's requests with the client that the tests have anyway.
async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = http.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}

fn logs_alice_in(alg: &'static str) {
    in_world(async |world| {
        let form = json!({ "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": [CALLBACK], "id_token_signed_response_alg": alg });
        let shop = shop(world, form).await;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let http = |request| send(http.clone(), request);

        let issuer = IssuerUrl::new(format!("{}/t/acme", world.base_url)).expect("a URL");
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.expect("discovered, with the keys");
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(shop.id.clone()),
            Some(ClientSecret::new(shop.secret.clone())),
        )
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).expect("a URL"));
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let verifier: PkceCodeVerifier = verifier;
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (address, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();

        let mut browser = Browser::new(&world.base_url);
        let page = logged_in(&mut browser, address.as_str()).await;
        let back = Url::parse(&page.location()).expect("an address");
        let back: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
        assert_eq!(&back["state"], state.secret());

        let code = AuthorizationCode::new(back["code"].clone());
        let tokens = client.exchange_code(code).expect("an endpoint").set_pkce_verifier(verifier).request_async(&http).await;
        let tokens = tokens.expect("redeemed");
        let id_token = tokens.id_token().expect("an ID token");
        // With the keys as they are now: the first one of an algorithm may be made when it signs.
        let keys = CoreJsonWebKeySet::fetch_async(metadata.jwks_uri(), &http).await.expect("the keys");
        let verifier = IdTokenVerifier::new_public_client(ClientId::new(shop.id.clone()), metadata.issuer().clone(), keys)
            .set_allowed_algs(metadata.id_token_signing_alg_values_supported().clone());
        let claims = id_token.claims(&verifier, &nonce).expect("verified");
        assert!(id_token.claims(&verifier, &Nonce::new("another".to_owned())).is_err());
        if let Some(expected) = claims.access_token_hash() {
            let (alg, key) = (id_token.signing_alg().expect("signed"), id_token.signing_key(&verifier).expect("by a known key"));
            assert_eq!(&AccessTokenHash::from_token(tokens.access_token(), alg, key).expect("hashed"), expected);
        }

        let asked = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).expect("an endpoint");
        let info: CoreUserInfoClaims = asked.request_async(&http).await.expect("told");
        assert_eq!(info.email().map(|email| email.as_str()), Some("alice@acme.example"));

        let refresh_token = tokens.refresh_token().expect("a refresh token");
        let renewed = client.exchange_refresh_token(refresh_token).expect("an endpoint").request_async(&http).await.expect("renewed");
        assert_ne!(renewed.refresh_token().map(|token| token.secret()), Some(refresh_token.secret()), "rotated");
        let again = renewed.id_token().expect("an ID token").claims(&verifier, |_: Option<&Nonce>| Ok(())).expect("verified");
        assert_eq!((again.subject(), again.auth_time()), (claims.subject(), claims.auth_time()), "s082");
    });
}

#[test]
fn the_openidconnect_crate_logs_a_user_in_verifies_and_refreshes() {
    logs_alice_in("RS256");
}

#[test]
fn the_openidconnect_crate_does_so_by_an_elliptic_curve() {
    logs_alice_in("ES256");
}
