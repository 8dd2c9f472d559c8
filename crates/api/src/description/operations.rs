//! What each route takes and answers, beyond what the route table knows.

use serde_json::{Value, json};

/// The body that a route reads; the name is that of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Json(&'static str),
    OptionalJson(&'static str),
    Form(&'static str),
    /// A PNG, JPEG or WebP picture.
    Image,
}

/// One route's own part of the description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    /// What generated clients call it.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Query parameters, by the names of their components.
    pub(super) parameters: &'static [&'static str],
    pub(super) body: Body,
    /// Whether a session cookie may stand for the credential in the body.
    pub(super) takes_cookie: bool,
    /// Status, schema of the body if there is one, meaning.
    pub(super) answers: &'static [(u16, Option<&'static str>, &'static str)],
    pub(super) media_type: &'static str,
    /// What the answer is given as instead to whoever asks for it.
    pub(super) or_as: &'static [&'static str],
    /// Headers of answers that are no refusals.
    pub(super) headers: &'static [&'static str],
    /// Refusals of its own: status, codes.
    pub(super) refusals: &'static [(u16, &'static str)],
}

impl Operation {
    const fn takes(self, body: Body) -> Self {
        Self { body, ..self }
    }
    const fn asks(self, parameters: &'static [&'static str]) -> Self {
        Self { parameters, ..self }
    }
    const fn or_a_cookie(self) -> Self {
        Self { takes_cookie: true, ..self }
    }
    const fn with(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }
    const fn refuses(self, refusals: &'static [(u16, &'static str)]) -> Self {
        Self { refusals, ..self }
    }
}

/// One that answers with a page.
const fn page(operation: Operation) -> Operation {
    Operation { media_type: "text/html; charset=utf-8", ..operation }
}

/// A form of the account page.
const fn account_form(id: &'static str, summary: &'static str) -> Operation {
    let answers: Answers = &[
        (200, Some("Page"), "The page once more, and what is wrong; or that it is done."),
        (303, None, "Done, or nobody is logged in: on."),
        (400, Some("Page"), "This is no form of ours."),
        (403, Some("Page"), "The form is not one of ours."),
    ];
    page(op("account", id, summary, answers)).takes(Body::Form("AccountForm")).with(&["Cache-Control"])
}

type Answers = &'static [(u16, Option<&'static str>, &'static str)];

const fn op(tag: &'static str, id: &'static str, summary: &'static str, answers: Answers) -> Operation {
    Operation {
        id,
        tag,
        summary,
        parameters: &[],
        body: Body::None,
        takes_cookie: false,
        answers,
        media_type: "application/json",
        or_as: &[],
        headers: &[],
        refusals: &[],
    }
}

const fn tile(id: &'static str) -> Operation {
    let tile = op("key log", id, "A tile of hashes, or a bundle of entries (C2SP tlog-tiles)", &[(200, Some("Text"), "The bytes.")]);
    Operation { media_type: "application/octet-stream", ..tile }.with(&["Cache-Control"])
}

pub(super) fn tags() -> Value {
    json!([
        { "name": "issuer", "description": "What everybody may know of a tenant: its keys and its metadata." },
        { "name": "key log", "description": "The public, append-only log of a tenant's keys." },
        { "name": "tokens", "description": "Getting, refreshing, ending and inspecting tokens." },
        { "name": "login pages", "description": "What browsers are sent through when an application logs a user in or out." },
        { "name": "account", "description": "The page on which users look after their own account." },
        { "name": "me", "description": "What a signed-in user may see and end of their own." },
        { "name": "tenants", "description": "Tenants and their audit log." },
        { "name": "users", "description": "Users of a tenant, and their sessions." },
        { "name": "clients", "description": "OAuth clients of a tenant, and their secrets." },
        { "name": "resources", "description": "APIs of a tenant, which tokens may be for." },
        { "name": "trusted issuers", "description": "Issuers of others whose word about users clients may exchange for tokens (RFC 7523)." },
        { "name": "registration", "description": "Clients that register themselves (RFC 7591, RFC 7592), and the tokens that let them." },
        { "name": "keys", "description": "Signing keys of a tenant." },
    ])
}

const LINKED: Answers = &[
    (200, Some("Page"), "The question, or the login."),
    (303, None, "Done, or on."),
    (400, Some("Page"), "The link opens nothing (any more), or this is no form of ours."),
    (403, Some("Page"), "The form is not one of ours."),
];
const PAGED: &[&str] = &["limit", "after"];
const PASSWORD_REFUSED: (u16, &str) = (422, "`password_refused`");
const BAD_METADATA: (u16, &str) = (422, "`invalid_redirect_uri` or `invalid_client_metadata`: `member` says which one");
const ISSUER_REFUSED: (u16, &str) = (422, "`trusted_issuer_refused`: `member` says which one");
const RULE_REFUSED: (u16, &str) = (422, "`claim_rule_refused`: `member` says which one");
const RESOURCE_REFUSED: (u16, &str) = (422, "`resource_refused`: `member` says which one");
const USERINFO: &[(u16, &str)] = &[
    (400, "`unauthorized_client`: what the client has registered for cannot be signed any more; or `invalid_request`"),
    (401, "`invalid_token`, `invalid_dpop_proof`, `use_dpop_nonce`, or there is no token"),
    (403, "`insufficient_scope`: `openid` was not granted"),
];
const BAD_REGISTRATION: (u16, &str) = (400, "`invalid_redirect_uri`, `invalid_client_metadata` or `unapproved_software_statement`");
const NO_REGISTRATION_TOKEN: (u16, &str) = (401, "`invalid_token`, or there is no token where one is needed");
const BUSY: (u16, &str) = (503, "`busy`");
const UNSAFE_POLICY: (u16, &str) = (
    409,
    "`already_staged`, `too_early` or `too_many_keys`: `earliest` says when it will be safe; `not_confirmed`: clients are registered for what it drops",
);
const UNSAFE_ROTATION: (u16, &str) = (409, "`already_staged`, `too_early` or `too_many_keys`: `earliest` says when it will be safe");

#[rustfmt::skip]
pub(super) fn operations() -> Vec<(&'static str, &'static str, Operation)> {
    use Body::{Form, Image, Json, OptionalJson};
    vec![
        ("GET", "/openapi.json", op("issuer", "describe", "This description", &[(200, Some("Description"), "This very document.")]).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/.well-known/jwks.json", Operation { media_type: "application/jwk-set+json",
            ..op("issuer", "getJwks", "The public keys that tokens are verified with", &[
                (200, Some("JwkSet"), "The keys."), (304, None, "The keys that `If-None-Match` names are still the ones."),
            ]).with(&["ETag", "Cache-Control"]).asks(&["Claviger-Verifier", "verifier"]) }),
        ("GET", "/t/{slug}/.well-known/key-log/checkpoint", Operation { media_type: "text/plain; charset=utf-8",
            ..op("key log", "getKeyLogCheckpoint", "The signed head of the log of the tenant's keys (C2SP tlog-checkpoint)", &[(200, Some("Text"), "The checkpoint.")]).with(&["Cache-Control"]) }),
        ("GET", "/t/{slug}/.well-known/key-log/vkey", Operation { media_type: "text/plain; charset=utf-8",
            ..op("key log", "getKeyLogVkey", "The key that checkpoints are signed with (C2SP signed-note)", &[(200, Some("Text"), "The key.")]).with(&["Cache-Control"]) }),
        ("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}", tile("getKeyLogTile")),
        ("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}", tile("getKeyLogTile2")),
        ("GET", "/t/{slug}/.well-known/key-log/tile/{level}/{tile}/{tile2}/{width}", tile("getKeyLogTile3")),
        ("GET", "/t/{slug}/.well-known/key-log/proof/inclusion", op("key log", "getKeyLogInclusion", "The proof that an entry is in the log (RFC 9162, 2.1.3)", &[(200, Some("InclusionProof"), "The proof.")])
            .asks(&["index", "size"]).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/.well-known/key-log/proof/consistency", op("key log", "getKeyLogConsistency", "The proof that a longer log begins with a shorter one (RFC 9162, 2.1.4)", &[(200, Some("ConsistencyProof"), "The proof.")])
            .asks(&["from", "to"]).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/.well-known/openid-configuration", op("issuer", "getOpenIdConfiguration", "The issuer's metadata, where OpenID Connect looks for it",
            &[(200, Some("Metadata"), "The metadata.")]).with(&["Cache-Control"])),
        ("GET", "/.well-known/oauth-authorization-server/t/{slug}", op("issuer", "getAuthorizationServerMetadata", "The issuer's metadata, where RFC 8414 looks for it",
            &[(200, Some("Metadata"), "The metadata.")]).with(&["Cache-Control"])),
        ("GET", "/.well-known/installation-jwks.json", Operation { media_type: "application/jwk-set+json",
            ..op("issuer", "getInstallationJwks", "The public key that certificates of deletion are verified with", &[(200, Some("JwkSet"), "The key.")]).with(&["Cache-Control"]) }),

        ("POST", "/t/{slug}/login", op("tokens", "logIn", "Log in with a name and a password", &[(200, Some("Tokens"), "Logged in.")])
            .takes(Json("Login")).with(&["Set-Cookie", "Cache-Control"])
            .refuses(&[(401, "`bad_credentials`"), (403, "`csrf`: a cookie session is asked for from another site; or `password_change_required`"), (422, "`password_refused`: new_password is not one to have"), (429, "`too_many_attempts`"), BUSY])),
        ("POST", "/t/{slug}/logout", op("tokens", "logOut", "End the session of a refresh token or a cookie", &[(204, None, "Ended, or it had ended before.")])
            .takes(OptionalJson("Logout")).or_a_cookie().with(&["Set-Cookie", "Cache-Control"]).refuses(&[(403, "`csrf`")])),
        ("GET", "/t/{slug}/oauth/authorize", page(op("login pages", "authorize", "Begin a login for an application (RFC 6749, 4.1.1; OpenID Connect Core, 3.1.2)", &[
            (200, Some("Page"), "The answer, as a form that posts itself."), (303, None, "On to the login, or back to the application."), (400, Some("Page"), "What is wrong; nobody is sent anywhere."),
        ])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/oauth/authorize", page(op("login pages", "authorizeByForm", "Begin a login for an application, by form", &[
            (200, Some("Page"), "The answer, as a form that posts itself."), (303, None, "On to the login, or back to the application."), (400, Some("Page"), "What is wrong; nobody is sent anywhere."),
        ])).takes(Form("AuthorizationRequest")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/oauth/device_authorization", op("tokens", "authorizeDevice", "Ask for a user, for a device without a browser (RFC 8628, 3.1)", &[(200, Some("DeviceAuthorization"), "The codes to poll with and to show.")])
            .takes(Form("DeviceAuthorizationRequest")).with(&["Cache-Control"])
            .refuses(&[(400, "`invalid_scope`, `invalid_target`, `unauthorized_client`, or `unsupported_grant_type`: the tenant does not want it"), (401, "`invalid_client`")])),
        ("POST", "/t/{slug}/oauth/authorize-challenge", op("tokens", "challengeAuthorization", "Hand over what a user typed into an application of the tenant (OAuth 2.0 for First-Party Applications)", &[
            (200, Some("AuthorizationChallenge"), "The code, for the token endpoint."),
            (403, Some("OAuthError"), "`insufficient_authorization` with the `step` that is missing and the `auth_session` for it; or `redirect_to_web`."),
        ])
            .takes(Form("AuthorizationChallengeRequest")).with(&["Cache-Control"])
            .refuses(&[(400, "`access_denied`: name or password are wrong; `invalid_session`, `unauthorized_client`, `login_required`, `invalid_scope`, `invalid_target`, `invalid_dpop_proof` or `use_dpop_nonce`"), (401, "`invalid_client`"),
                (404, "the tenant does not want it"), (429, "`slow_down`: too many wrong passwords"), BUSY])),
        ("POST", "/t/{slug}/oauth/bc-authorize", op("tokens", "askUser", "Ask a user whose browser one has not got (OpenID CIBA Core 1.0, 7)", &[(200, Some("BackchannelAuthentication"), "What to poll with.")])
            .takes(Form("BackchannelAuthenticationRequest")).with(&["Cache-Control"])
            .refuses(&[(400, "`invalid_scope`, `invalid_target`, `unknown_user_id`, `invalid_binding_message`, `unauthorized_client`, or `unsupported_grant_type`: the tenant does not want it"), (401, "`invalid_client`"), (429, "`slow_down`: the user is asked too much already")])),
        ("GET", "/t/{slug}/device", page(op("login pages", "getDevicePage", "Where a device's code is typed", &[(200, Some("Page"), "The page.")])).asks(&["user_code"]).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/device", page(op("login pages", "enterDeviceCode", "Type the code that a device shows", &[
            (200, Some("Page"), "The page once more: no device shows this code."), (303, None, "On."), (400, Some("Page"), "The form is malformed."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("DeviceCodeEntry")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/interaction/{request}", page(op("login pages", "getInteraction", "What the user has to do for a pending request", &[
            (200, Some("Page"), "The login, the consent, or the answer as a form."), (303, None, "Back to the application."), (400, Some("Page"), "The request is over, or another browser's."),
        ])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/interaction/{request}/login", page(op("login pages", "signIn", "Log in on the page of a pending request", &[
            (200, Some("Page"), "The page once more: name or password are wrong."), (303, None, "On."), (400, Some("Page"), "The request is over, or another browser's."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("SignIn")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/interaction/{request}/accounts", page(op("login pages", "getAccounts", "The accounts that may go on with a pending request", &[
            (200, Some("Page"), "The choice."), (303, None, "Nobody is logged in: to the login."), (400, Some("Page"), "The request is over, or another browser's."),
        ])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/interaction/{request}/accounts", page(op("login pages", "chooseAccount", "Choose the account that goes on with a pending request, or leave one", &[
            (200, Some("Page"), "That one is signed out, with frames that tell clients."), (303, None, "On."), (400, Some("Page"), "The request is over, or another browser's."), (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("AccountChoice")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/interaction/{request}/new-password", page(op("login pages", "replacePassword", "Choose a new password where the right one has to go, and go on", &[
            (200, Some("Page"), "The page once more, and what is wrong."), (303, None, "On."), (400, Some("Page"), "The request is over, or another browser's."), (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("ChosenPassword")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/interaction/{request}/consent", page(op("login pages", "decide", "Allow or refuse what an application asks for", &[
            (200, Some("Page"), "The answer, as a form that posts itself."), (303, None, "On."), (400, Some("Page"), "The request is over, or another browser's."), (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("Decision")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/assets/{file}", Operation { media_type: "text/css; charset=utf-8", or_as: &["text/javascript; charset=utf-8", "image/png", "image/jpeg", "image/webp"],
            ..op("login pages", "getAsset", "A file of the hosted pages: a style sheet, the script, the tenant's logo", &[(200, Some("Text"), "The file.")]).with(&["ETag", "Cache-Control"]) }),
        ("GET", "/t/{slug}/account", page(op("account", "getAccount", "A user's own page, or the login to it", &[(200, Some("Page"), "The account, or the login.")])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/login", page(op("account", "signInToAccount", "Log in to one's account", &[
            (200, Some("Page"), "The page once more: name or password are wrong."), (303, None, "To the account."), (400, Some("Page"), "This is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("SignIn")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/account/accounts", page(op("account", "getOwnAccounts", "The accounts that this browser is logged in to", &[(200, Some("Page"), "The choice."), (303, None, "Nobody is logged in: to the login.")])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/accounts", page(op("account", "switchAccount", "Choose the account whose page is shown, or leave one", &[
            (200, Some("Page"), "The login to another account; or that one is signed out."), (303, None, "On."), (400, Some("Page"), "This is no form of ours."), (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("AccountChoice")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/new-password", page(op("account", "replaceOwnPassword", "Log in to one's account with a password that has to go, and choose a new one", &[
            (200, Some("Page"), "The page once more, and what is wrong."), (303, None, "To the account."), (400, Some("Page"), "This is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("AccountForm")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/profile", account_form("changeProfile", "Change one's name")),
        ("GET", "/t/{slug}/account/password", page(op("account", "getPasswordForm", "The form for a new password", &[(200, Some("Page"), "The form."), (303, None, "To the login.")])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/password", page(op("account", "changePassword", "Change one's password; other sessions end", &[
            (200, Some("Page"), "The form once more, and what is wrong."), (303, None, "Changed; to the account."), (400, Some("Page"), "This is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("AccountForm")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/sessions/end", account_form("endAccountSession", "End one of one's sessions")),
        ("POST", "/t/{slug}/account/sessions/end-others", account_form("endOtherSessions", "End all of one's sessions but this one")),
        ("POST", "/t/{slug}/account/applications/revoke", account_form("revokeApplication", "Take back what one has allowed an application")),
        ("POST", "/t/{slug}/account/requests/decide", account_form("answerRequest", "Answer an application that waits for one")),
        ("GET", "/t/{slug}/account/export", Operation { or_as: &["text/html; charset=utf-8"],
            ..op("account", "exportAccount", "All that is stored about oneself, but the audit log", &[(200, Some("AccountExport"), "The data, or the login.")]).with(&["Cache-Control"]) }),
        ("POST", "/t/{slug}/account/sign-out", account_form("signOutOfAccount", "Log out in this browser")),
        ("GET", "/t/{slug}/account/email", page(op("account", "getEmailForm", "The form for another address", &[(200, Some("Page"), "The form."), (303, None, "To the login.")])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/email", page(op("account", "askForEmailChange", "Ask for another address, which gets a link", &[
            (200, Some("Page"), "The form once more, and what is wrong."), (303, None, "A mail is on its way, or nobody is logged in."), (400, Some("Page"), "This is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("AccountForm")).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/email/verify", account_form("askForEmailProof", "Have a link sent to one's address")),
        ("GET", "/t/{slug}/account/email/verify/{link}", page(op("account", "getEmailProof", "The question whether an address is the reader's", LINKED)).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/email/verify/{link}", page(op("account", "proveEmail", "Say that an address is one's own", LINKED)).takes(Form("LinkForm")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/account/email/verified", page(op("account", "getEmailProved", "That an address is known to be the user's", &[(200, Some("Page"), "That.")])).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/account/email/change/{link}", page(op("account", "getEmailChange", "The question whether an address shall replace the other one", LINKED)).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/account/email/change/{link}", page(op("account", "changeEmail", "Put another address in the place of one's own", LINKED)).takes(Form("LinkForm")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/password/forgot", page(op("account", "getForgottenPassword", "The form that asks for a link to choose a new password", &[(200, Some("Page"), "The form.")])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/password/forgot", page(op("account", "forgetPassword", "Ask for a link to choose a new password", &[
            (200, Some("Page"), "The form once more: nothing was typed."), (303, None, "On, whether there is such an account or not."), (400, Some("Page"), "This is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."), (429, Some("Page"), "Too many attempts."),
        ])).takes(Form("ForgottenPassword")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/password/sent", page(op("account", "getResetSent", "That a mail is on its way, if there is such an account", &[(200, Some("Page"), "That.")])).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/password/reset/{link}", page(op("account", "getPasswordReset", "The form for a new password, by a link from a mail", &[
            (200, Some("Page"), "The form."), (400, Some("Page"), "The link opens nothing (any more)."),
        ])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/password/reset/{link}", page(op("account", "resetPassword", "Choose a new password, by a link from a mail", &[
            (200, Some("Page"), "The form once more, and what is wrong."), (303, None, "Changed."), (400, Some("Page"), "The link opens nothing (any more), or this is no form of ours."),
            (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("ChosenPassword")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/password/changed", page(op("account", "getPasswordChanged", "That the password was changed", &[(200, Some("Page"), "That.")])).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/oauth/end_session", page(op("login pages", "endSsoSession", "Log out for an application (OpenID Connect RP-Initiated Logout 1.0)", &[
            (200, Some("Page"), "The question, or that it is done."), (303, None, "Back to the application."), (400, Some("Page"), "What is wrong; nobody is sent anywhere."), (403, Some("Page"), "The form is not one of ours."),
        ])).with(&["Cache-Control"])),
        ("POST", "/t/{slug}/oauth/end_session", page(op("login pages", "endSsoSessionByForm", "Log out for an application, by form", &[
            (200, Some("Page"), "The question, or that it is done."), (303, None, "Back to the application."), (400, Some("Page"), "What is wrong; nobody is sent anywhere."), (403, Some("Page"), "The form is not one of ours."),
        ])).takes(Form("EndSession")).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/oauth/userinfo", Operation { or_as: &["application/jwt"], ..op("tokens", "getUserinfo", "What the application may know of the user (OpenID Connect Core, 5.3)", &[(200, Some("Userinfo"), "The claims.")])
            .with(&["Cache-Control"]).refuses(USERINFO) }),
        ("POST", "/t/{slug}/oauth/userinfo", Operation { or_as: &["application/jwt"], ..op("tokens", "getUserinfoByForm", "The same, by POST", &[(200, Some("Userinfo"), "The claims.")])
            .takes(Form("UserinfoRequest")).with(&["Cache-Control"]).refuses(USERINFO) }),
        ("POST", "/t/{slug}/oauth/token", op("tokens", "refresh", "Exchange a refresh token for new tokens (RFC 6749, 6)", &[(200, Some("Tokens"), "New tokens; the old refresh token is used up.")])
            .takes(Form("TokenRequest")).or_a_cookie().with(&["Set-Cookie", "Cache-Control"])
            .refuses(&[(400, "`invalid_grant`, `invalid_scope`, `invalid_target`, `unsupported_grant_type`, `unauthorized_client`, `invalid_dpop_proof` or `use_dpop_nonce`"), (401, "`invalid_client`"), (403, "`invalid_request`: a cookie without its CSRF token"), (429, "`slow_down`")])),
        ("POST", "/t/{slug}/oauth/par", op("tokens", "pushAuthorizationRequest", "Push an authorization request (RFC 9126)", &[(201, Some("PushedRequest"), "Kept; the browser brings `request_uri`.")])
            .takes(Form("PushedAuthorizationRequest")).with(&["Cache-Control"]).refuses(&[(401, "`invalid_client`")])),
        ("POST", "/t/{slug}/oauth/register", op("registration", "registerClient", "Register a client by itself (RFC 7591)", &[(201, Some("Registration"), "What is registered, with secrets that are not shown again.")])
            .takes(Json("Registering")).with(&["Cache-Control"]).refuses(&[BAD_REGISTRATION, NO_REGISTRATION_TOKEN, (429, "`slow_down`: too many came from there")])),
        ("GET", "/t/{slug}/oauth/register/{client}", op("registration", "getRegistration", "What is registered, for the client itself (RFC 7592, 2.1)", &[(200, Some("Registration"), "What is registered.")])
            .with(&["Cache-Control"]).refuses(&[NO_REGISTRATION_TOKEN])),
        ("PUT", "/t/{slug}/oauth/register/{client}", op("registration", "replaceRegistration", "Replace what is registered, by the client itself (RFC 7592, 2.2)", &[(200, Some("Registration"), "What is registered now.")])
            .takes(Json("Registering")).with(&["Cache-Control"]).refuses(&[BAD_REGISTRATION, NO_REGISTRATION_TOKEN])),
        ("DELETE", "/t/{slug}/oauth/register/{client}", op("registration", "deleteRegistration", "Remove a client, by itself (RFC 7592, 2.3)", &[(204, None, "Removed.")])
            .with(&["Cache-Control"]).refuses(&[NO_REGISTRATION_TOKEN])),
        ("POST", "/t/{slug}/oauth/revoke", op("tokens", "revoke", "Revoke a refresh token and its session (RFC 7009)", &[(200, None, "Revoked, or it was none.")])
            .takes(Form("RevocationRequest")).with(&["Cache-Control"]).refuses(&[(400, "`unsupported_token_type`: a token of the client itself"), (401, "`invalid_client`")])),
        ("POST", "/t/{slug}/oauth/introspect", Operation { or_as: &["application/token-introspection+jwt"], ..op("tokens", "introspect", "Ask whether a token is alive (RFC 7662); also for clients that prove themselves, about their own and those for an API that they are", &[(200, Some("Introspection"), "What is known of it; signed for the client, where `Accept` says so (RFC 9701).")])
            .takes(Form("IntrospectionRequest")).with(&["Cache-Control"]).refuses(&[(400, "`unauthorized_client`: the client's algorithm is gone"), (429, "`slow_down`: too many wrong secrets")]) }),

        ("GET", "/t/{slug}/me", op("me", "getMe", "Who is signed in", &[(200, Some("Me"), "The bearer.")]).with(&["Cache-Control"])),
        ("GET", "/t/{slug}/me/sessions", op("me", "listMySessions", "One's own sessions", &[(200, Some("Sessions"), "The sessions.")]).with(&["Cache-Control"])),
        ("DELETE", "/t/{slug}/me/sessions/{session}", op("me", "endMySession", "End one of one's own sessions", &[(204, None, "Ended.")])),

        ("GET", "/admin/v1/tenants", op("tenants", "listTenants", "All tenants, by slug; or those whose slug or name begins with something", &[(200, Some("TenantPage"), "A page.")]).asks(&["limit", "after", "search"])),
        ("POST", "/admin/v1/tenants", op("tenants", "createTenant", "Create a tenant with its keys", &[(201, Some("Tenant"), "The tenant.")])
            .takes(Json("TenantCreation")).refuses(&[(409, "`slug_taken`"), (422, "`policy_refused` or `unsafe_policy`")])),
        ("GET", "/admin/v1/tenants/{slug}", op("tenants", "getTenant", "A tenant", &[(200, Some("Tenant"), "The tenant.")])),
        ("PUT", "/admin/v1/tenants/{slug}/domain", op("tenants", "setDomain", "Make a host of the tenant's own its issuer; all its sessions end", &[(200, Some("Tenant"), "The tenant, with its new issuer.")])
            .takes(Json("DomainChange")).refuses(&[(409, "`domain_taken`; or `not_confirmed`, and what breaks"), (422, "`domain_refused`")])),
        ("DELETE", "/admin/v1/tenants/{slug}/domain", op("tenants", "removeDomain", "Make the installation's address and the slug the tenant's issuer again; all its sessions end", &[(200, Some("Tenant"), "The tenant, with its new issuer.")])
            .asks(&["confirm"]).refuses(&[(409, "`not_confirmed`, and what breaks")])),
        ("GET", "/admin/v1/tenants/{slug}/branding", op("tenants", "getBranding", "How the tenant's pages look", &[(200, Some("Appearance"), "The branding, and where the logo is.")])),
        ("PUT", "/admin/v1/tenants/{slug}/branding", op("tenants", "setBranding", "Replace how the tenant's pages look, but not the logo", &[(200, Some("Appearance"), "The branding as it is now.")])
            .takes(Json("BrandingChange"))),
        ("PUT", "/admin/v1/tenants/{slug}/branding/logo", op("tenants", "setLogo", "Replace the tenant's logo", &[(200, Some("Appearance"), "The branding as it is now.")])
            .takes(Image)),
        ("DELETE", "/admin/v1/tenants/{slug}/branding/logo", op("tenants", "deleteLogo", "Take the tenant's logo away", &[(204, None, "There is none.")])),
        ("PATCH", "/admin/v1/tenants/{slug}", op("tenants", "changeTenant", "Change a tenant's name or policy", &[(200, Some("Tenant"), "The tenant as it is now.")])
            .takes(Json("TenantChange")).asks(&["confirm"]).refuses(&[(409, "`not_confirmed`: clients are registered for what it takes away"), (422, "`policy_refused`")])),
        ("DELETE", "/admin/v1/tenants/{slug}", op("tenants", "deleteTenant", "Delete a tenant and everything in it", &[(204, None, "Deleted."), (202, None, "Deleted for everybody; its rows are being erased, and its slug is free when they are gone.")])
            .asks(&["confirm"]).with(&["Location"]).refuses(&[(409, "`not_confirmed`")])),
        ("GET", "/admin/v1/deletions/{tenant}", op("tenants", "getDeletionCertificate", "The signed certificate of a tenant's deletion", &[(200, Some("Deletion"), "The certificate.")])),
        ("POST", "/admin/v1/tenants/{slug}/suspend", op("tenants", "suspendTenant", "Suspend a tenant: nobody logs in or refreshes", &[(200, Some("Tenant"), "The tenant as it is now.")])),
        ("POST", "/admin/v1/tenants/{slug}/resume", op("tenants", "resumeTenant", "Resume a suspended tenant", &[(200, Some("Tenant"), "The tenant as it is now.")])),
        ("GET", "/admin/v1/tenants/{slug}/claims", op("tenants", "getClaimRules", "The claims that the tenant makes itself", &[(200, Some("ClaimRules"), "The rules.")])),
        ("PUT", "/admin/v1/tenants/{slug}/claims", op("tenants", "setClaimRules", "Replace the claims that the tenant makes itself; they count from the next token on", &[(200, Some("ClaimRules"), "The rules as they are now.")])
            .takes(Json("ClaimRulesChange")).refuses(&[RULE_REFUSED])),
        ("POST", "/admin/v1/tenants/{slug}/claims/preview", op("tenants", "previewClaims", "What an access token, an ID token and userinfo would say; nothing is issued", &[(200, Some("ClaimsPreview"), "The claims.")])
            .takes(Json("ClaimsPreviewRequest")).refuses(&[RULE_REFUSED])),
        ("GET", "/admin/v1/tenants/{slug}/events", op("tenants", "listEvents", "The audit log, newest first", &[(200, Some("EventPage"), "A page.")]).asks(PAGED)),

        ("GET", "/admin/v1/tenants/{slug}/users", op("users", "listUsers", "All users, by id", &[(200, Some("UserPage"), "A page.")]).asks(PAGED)),
        ("POST", "/admin/v1/tenants/{slug}/users", op("users", "createUser", "Create a user", &[(201, Some("User"), "The user.")])
            .takes(Json("UserCreation")).refuses(&[(409, "`name_taken`"), PASSWORD_REFUSED, BUSY])),
        ("GET", "/admin/v1/tenants/{slug}/users/{user}", op("users", "getUser", "A user", &[(200, Some("User"), "The user.")])),
        ("PATCH", "/admin/v1/tenants/{slug}/users/{user}", op("users", "changeUser", "Change a user's names, roles or claims", &[(200, Some("User"), "The user as it is now.")])
            .takes(Json("UserChange")).refuses(&[(409, "`name_taken`")])),
        ("DELETE", "/admin/v1/tenants/{slug}/users/{user}", op("users", "deleteUser", "Delete a user with all sessions", &[(204, None, "Deleted.")])),
        ("POST", "/admin/v1/tenants/{slug}/users/{user}/disable", op("users", "disableUser", "Disable a user: all sessions end at once", &[(200, Some("User"), "The user as it is now.")])),
        ("POST", "/admin/v1/tenants/{slug}/users/{user}/enable", op("users", "enableUser", "Enable a disabled user", &[(200, Some("User"), "The user as it is now.")])),
        ("PUT", "/admin/v1/tenants/{slug}/users/{user}/password", op("users", "setPassword", "Set a new password: all sessions end", &[(204, None, "Set.")])
            .takes(Json("NewPassword")).refuses(&[PASSWORD_REFUSED, BUSY])),
        ("GET", "/admin/v1/tenants/{slug}/users/{user}/sessions", op("users", "listSessions", "A user's sessions", &[(200, Some("Sessions"), "The sessions.")])),
        ("DELETE", "/admin/v1/tenants/{slug}/users/{user}/sessions", op("users", "endSessions", "End all of a user's sessions", &[(200, Some("SessionsEnded"), "How many there were.")])),
        ("DELETE", "/admin/v1/tenants/{slug}/users/{user}/sessions/{session}", op("users", "endSession", "End one of a user's sessions", &[(204, None, "Ended.")])),

        ("GET", "/admin/v1/tenants/{slug}/clients", op("clients", "listClients", "All clients, by id", &[(200, Some("ClientPage"), "A page.")]).asks(PAGED)),
        ("POST", "/admin/v1/tenants/{slug}/clients", op("clients", "createClient", "Register a client", &[(201, Some("NewClient"), "The client, with its secret: it is not shown again.")])
            .takes(Json("ClientMetadata")).with(&["Cache-Control"]).refuses(&[BAD_METADATA])),
        ("GET", "/admin/v1/tenants/{slug}/clients/{client}", op("clients", "getClient", "A client", &[(200, Some("Client"), "The client.")])),
        ("PUT", "/admin/v1/tenants/{slug}/clients/{client}", op("clients", "replaceClient", "Replace a client's metadata", &[(200, Some("Client"), "The client as it is now.")])
            .takes(Json("ClientMetadata")).refuses(&[BAD_METADATA])),
        ("DELETE", "/admin/v1/tenants/{slug}/clients/{client}", op("clients", "deleteClient", "Delete a client: its tokens are worth nothing any more", &[(204, None, "Deleted.")])),
        ("POST", "/admin/v1/tenants/{slug}/clients/{client}/disable", op("clients", "disableClient", "Disable a client: its tokens are worth nothing until it is enabled", &[(200, Some("Client"), "The client as it is now.")])),
        ("POST", "/admin/v1/tenants/{slug}/clients/{client}/enable", op("clients", "enableClient", "Enable a disabled client", &[(200, Some("Client"), "The client as it is now.")])),
        ("POST", "/admin/v1/tenants/{slug}/clients/{client}/secrets", op("clients", "addClientSecret", "Give a client a second secret, to change over to", &[(201, Some("NewClientSecret"), "The secret: it is not shown again.")])
            .takes(OptionalJson("ClientSecretCreation")).with(&["Cache-Control"]).refuses(&[(409, "`too_many_secrets`, `takes_no_secret`")])),
        ("DELETE", "/admin/v1/tenants/{slug}/clients/{client}/secrets/{secret}", op("clients", "deleteClientSecret", "End a client's secret at once", &[(204, None, "Ended.")])),

        ("GET", "/admin/v1/tenants/{slug}/resources", op("resources", "listResources", "APIs, by id", &[(200, Some("ResourcePage"), "A page.")]).asks(PAGED)),
        ("POST", "/admin/v1/tenants/{slug}/resources", op("resources", "createResource", "Add an API", &[(201, Some("Resource"), "The API.")])
            .takes(Json("ResourceChange")).refuses(&[(409, "`identifier_taken` or `too_many_resources`"), RESOURCE_REFUSED])),
        ("GET", "/admin/v1/tenants/{slug}/resources/{resource}", op("resources", "getResource", "An API", &[(200, Some("Resource"), "The API.")])),
        ("PUT", "/admin/v1/tenants/{slug}/resources/{resource}", op("resources", "replaceResource", "Replace what is said about an API; it counts from the next token on", &[(200, Some("Resource"), "The API as it is now.")])
            .takes(Json("ResourceChange")).refuses(&[RESOURCE_REFUSED])),
        ("DELETE", "/admin/v1/tenants/{slug}/resources/{resource}", op("resources", "deleteResource", "Delete an API: there are no more tokens for it", &[(204, None, "Deleted.")])),
        ("GET", "/admin/v1/tenants/{slug}/trusted-issuers", op("trusted issuers", "listTrustedIssuers", "Trusted issuers, by id", &[(200, Some("TrustedIssuerPage"), "A page.")]).asks(PAGED)),
        ("POST", "/admin/v1/tenants/{slug}/trusted-issuers", op("trusted issuers", "createTrustedIssuer", "Trust an issuer", &[(201, Some("TrustedIssuer"), "The issuer.")])
            .takes(Json("TrustedIssuerChange")).refuses(&[(409, "`issuer_taken` or `too_many_trusted_issuers`"), ISSUER_REFUSED])),
        ("GET", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", op("trusted issuers", "getTrustedIssuer", "A trusted issuer", &[(200, Some("TrustedIssuer"), "The issuer.")])),
        ("PUT", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", op("trusted issuers", "replaceTrustedIssuer", "Replace what is said about an issuer; it counts from the next assertion on", &[(200, Some("TrustedIssuer"), "The issuer as it is now.")])
            .takes(Json("TrustedIssuerChange")).refuses(&[ISSUER_REFUSED])),
        ("DELETE", "/admin/v1/tenants/{slug}/trusted-issuers/{issuer}", op("trusted issuers", "deleteTrustedIssuer", "Trust an issuer no more; tokens that are out live until they expire or are revoked", &[(204, None, "Deleted.")])),
        ("GET", "/admin/v1/tenants/{slug}/initial-access-tokens", op("registration", "listInitialAccessTokens", "Tokens with which clients may be registered, by id", &[(200, Some("InitialAccessTokenPage"), "A page.")]).asks(PAGED)),
        ("POST", "/admin/v1/tenants/{slug}/initial-access-tokens", op("registration", "createInitialAccessToken", "Make a token with which clients may be registered", &[(201, Some("NewInitialAccessToken"), "The token: it is not shown again.")])
            .takes(OptionalJson("InitialAccessTokenCreation")).with(&["Cache-Control"])),
        ("DELETE", "/admin/v1/tenants/{slug}/initial-access-tokens/{token}", op("registration", "deleteInitialAccessToken", "End a token; the clients that were registered with it stay", &[(204, None, "Ended.")])),

        ("GET", "/admin/v1/tenants/{slug}/keys", op("keys", "getKeys", "The key ring", &[(200, Some("KeyRing"), "The ring.")])),
        ("POST", "/admin/v1/tenants/{slug}/keys/rotate", op("keys", "rotateKeys", "Publish new keys that sign later; or replace all at once", &[(202, Some("KeyRing"), "The ring as it is now.")])
            .takes(Json("Rotation")).refuses(&[UNSAFE_ROTATION, (422, "`unknown_alg`")])),
        ("POST", "/admin/v1/tenants/{slug}/keys/plan", Operation { or_as: &["image/svg+xml"],
            ..op("keys", "planKeys", "What would happen if this were done with the keys; nothing is", &[(200, Some("KeyForecast"), "What would happen, also when it would be refused.")])
                .takes(Json("KeyProposal")).asks(&["format"]) }),
        ("GET", "/admin/v1/tenants/{slug}/keys/verifiers", op("keys", "listVerifiers", "Who fetched the JWKS, and which keys they cannot know", &[(200, Some("Verifiers"), "Whoever fetched last first; what was fetched in the last ten seconds may be missing.")])),
        ("POST", "/admin/v1/tenants/{slug}/keys/drill", op("keys", "drillEmergency", "Rehearse an emergency; nothing changes", &[(200, Some("KeyDrill"), "What an emergency would bring now.")])),
        ("POST", "/admin/v1/tenants/{slug}/keys/token-secret/rotate", op("keys", "rotateTokenSecret", "Use a new secret for refresh tokens; those that are out stay good", &[(200, Some("KeyRing"), "The ring as it is now.")])
            .refuses(&[(409, "`too_many_token_secrets`: `earliest` says when the oldest is destroyed")])),
        ("GET", "/admin/v1/tenants/{slug}/keys/policy", op("keys", "getRotationPolicy", "The rotation policy", &[(200, Some("RotationPolicy"), "The policy.")])),
        ("PUT", "/admin/v1/tenants/{slug}/keys/policy", op("keys", "setRotationPolicy", "Replace the rotation policy", &[(200, Some("KeyRing"), "The ring as it is now.")])
            .takes(Json("RotationPolicyChange")).asks(&["confirm"]).refuses(&[UNSAFE_POLICY, (422, "`unsafe_policy`")])),
        ("POST", "/admin/v1/tenants/{slug}/keys/{kid}/revoke", op("keys", "revokeKey", "Revoke one key at once", &[(200, Some("KeyRing"), "The ring as it is now.")])
            .takes(Json("KeyRevocation")).refuses(&[(409, "`already_ended`")])),
    ]
}
